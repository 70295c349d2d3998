/* The wire form of messages in one pass: the twin of line_ends.py, which says what it does.
 *
 * Nothing needs it. It is built where there is a compiler, and a property test holds both to the
 * same octets. Python has no quick way to look for two octets in a row, "\n." among them, and spends
 * five to twenty times as long.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <string.h>

/* Return the start of the next line, or the end of the text where no line end comes before it. */
static const char *next_line(const char *at, const char *end) {
    const char *lf = memchr(at, '\n', (size_t)(end - at));
    return lf ? lf + 1 : end;
}

/* Tell whether a line, which ends at `end`, ends with an LF that has no CR before it. */
static int bare(const char *line, const char *end) {
    return end[-1] == '\n' && (end - line < 2 || end[-2] != '\r');
}

static void measure(const char *at, const char *end, int at_line_start,
                    Py_ssize_t *bare_line_ends, Py_ssize_t *dots) {
    *bare_line_ends = *dots = 0;
    while (at < end) {
        const char *next = next_line(at, end);
        *dots += at_line_start && *at == '.';
        *bare_line_ends += bare(at, next);
        at_line_start = 1;
        at = next;
    }
}

static void convert(char *to, const char *at, const char *end, int at_line_start) {
    while (at < end) {
        const char *next = next_line(at, end);
        size_t length = (size_t)(next - at);
        if (at_line_start && *at == '.') *to++ = '.';
        memcpy(to, at, length);
        to += length;
        if (bare(at, next)) {
            to[-1] = '\r';
            *to++ = '\n';
        }
        at_line_start = 1;
        at = next;
    }
}

PyDoc_STRVAR(to_wire_doc, "to_wire(stored, at_line_start) -> (octets to send, size)");

static PyObject *to_wire(PyObject *Py_UNUSED(module), PyObject *args) {
    Py_buffer stored;
    int at_line_start;
    if (!PyArg_ParseTuple(args, "y*p:to_wire", &stored, &at_line_start)) return NULL;
    const char *begin = stored.buf, *end = begin + stored.len;
    Py_ssize_t bare_line_ends, dots;
    measure(begin, end, at_line_start, &bare_line_ends, &dots);
    Py_ssize_t size = stored.len + bare_line_ends;
    PyObject *sent = PyBytes_FromStringAndSize(NULL, size + dots);
    if (sent) convert(PyBytes_AS_STRING(sent), begin, end, at_line_start);
    PyBuffer_Release(&stored);
    return sent ? Py_BuildValue("(Nn)", sent, size) : NULL;
}

PyDoc_STRVAR(bare_line_ends_doc, "bare_line_ends(stored) -> how many LF have no CR before them");

static PyObject *bare_line_ends(PyObject *Py_UNUSED(module), PyObject *argument) {
    Py_buffer stored;
    if (PyObject_GetBuffer(argument, &stored, PyBUF_SIMPLE)) return NULL;
    const char *begin = stored.buf;
    Py_ssize_t found, dots;
    measure(begin, begin + stored.len, 0, &found, &dots);
    PyBuffer_Release(&stored);
    return PyLong_FromSsize_t(found);
}

/* Tell whether a line, which ends at `end` in a text that begins at `begin`, ends with CR LF. */
static int ends_with_crlf(const char *begin, const char *end) {
    return end - begin >= 2 && end[-1] == '\n' && end[-2] == '\r';
}

PyDoc_STRVAR(from_wire_doc, "from_wire(stuffed) -> (octets without stuffing, how many LF)");

static PyObject *from_wire(PyObject *Py_UNUSED(module), PyObject *argument) {
    Py_buffer stuffed;
    if (PyObject_GetBuffer(argument, &stuffed, PyBUF_SIMPLE)) return NULL;
    const char *begin = stuffed.buf, *at = begin, *end = begin + stuffed.len;
    PyObject *lines = PyBytes_FromStringAndSize(NULL, stuffed.len);
    Py_ssize_t size = 0, line_ends = 0;
    while (lines && at < end) {
        const char *next = next_line(at, end);
        memcpy(PyBytes_AS_STRING(lines) + size, at, (size_t)(next - at));
        size += next - at;
        line_ends += next[-1] == '\n';
        at = next + (next < end && *next == '.' && ends_with_crlf(begin, next));
    }
    PyBuffer_Release(&stuffed);
    if (!lines || _PyBytes_Resize(&lines, size)) return NULL;
    return Py_BuildValue("(Nn)", lines, line_ends);
}

PyDoc_STRVAR(to_unix_doc, "to_unix(lines) -> (octets with LF ends, how many LF have no CR before)");

static PyObject *to_unix(PyObject *Py_UNUSED(module), PyObject *argument) {
    Py_buffer lines;
    if (PyObject_GetBuffer(argument, &lines, PyBUF_SIMPLE)) return NULL;
    const char *begin = lines.buf, *at = begin, *end = begin + lines.len;
    PyObject *stored = PyBytes_FromStringAndSize(NULL, lines.len);
    Py_ssize_t size = 0, bare_line_ends = 0;
    while (stored && at < end) {
        const char *next = next_line(at, end);
        char *to = PyBytes_AS_STRING(stored) + size;
        memcpy(to, at, (size_t)(next - at));
        size += next - at;
        if (ends_with_crlf(begin, next) && !(next - begin >= 3 && next[-3] == '\r')) {
            to[next - at - 2] = '\n';
            size--;
            bare_line_ends++;
        } else {
            bare_line_ends += next[-1] == '\n' && !ends_with_crlf(begin, next);
        }
        at = next;
    }
    PyBuffer_Release(&lines);
    if (!stored || _PyBytes_Resize(&stored, size)) return NULL;
    return Py_BuildValue("(Nn)", stored, bare_line_ends);
}

static PyMethodDef methods[] = {
    {"to_wire", to_wire, METH_VARARGS, to_wire_doc},
    {"bare_line_ends", bare_line_ends, METH_O, bare_line_ends_doc},
    {"from_wire", from_wire, METH_O, from_wire_doc},
    {"to_unix", to_unix, METH_O, to_unix_doc},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "speedups", "The wire form of messages, in C.", 0, methods,
    NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit_speedups(void) { return PyModule_Create(&module); }
