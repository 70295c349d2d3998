/* Counts the system calls that a process makes on the files below one folder and on its clients'
 * sockets, keeps a journal of them in memory shared with the parent, and at the N-th one kills the
 * process or fakes a failing disk. Preloaded (LD_PRELOAD); idle until a child of a fork arms it.
 *
 * fsync is noted and not carried out: a kill does not lose what the kernel holds, so the checker
 * proves from the journal that what must last was synced in time.
 */
#define _GNU_SOURCE
#undef _FORTIFY_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { MOST_CALLS = 8192, ARENA = 32 << 20, NAME = 256, MOST_FDS = 65536 };

enum fault { NONE, KILL_BEFORE, KILL_AFTER, FAIL, FAIL_ON, SHORT, TORN };

/* Keep in step with Call and Plan in shim.py. */
struct call {
    char op[16];
    int32_t fault;  /* what befell it, of enum fault */
    int32_t error;  /* errno, where the result is -1 */
    int64_t result;
    int64_t flags;  /* of open */
    int64_t offset; /* of a write in its file */
    int64_t length; /* octets that were to be written or read, or of a truncated file */
    int64_t data;   /* place of what was written, in the arena */
    char path[NAME]; /* below the folder; "<client>" for a socket */
    char other[NAME]; /* the new name of a rename or link */
};

static struct shared {
    int32_t at;    /* the call to befall, 1-based; 0 for none */
    int32_t fault;
    int32_t error;
    int32_t count; /* calls so far */
    int64_t used;  /* octets of the arena */
    char root[PATH_MAX];
    struct call calls[MOST_CALLS];
    char arena[ARENA];
} *shared;

static int armed;
static __thread int inside; /* calls of our own are not watched */
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static unsigned char client[MOST_FDS];

#define NOWHERE ((const char *)0)
#define REAL(name)                                                                                 \
    static typeof(name) *real;                                                                     \
    if (!real)                                                                                     \
        real = (typeof(name) *)dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void begin(void) {
    shared = mmap(0, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

void *faults_shared(void) { return shared; }
void faults_arm(int on) { armed = on; }
void faults_watch(int fd, int on) { client[fd] = on; }

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

/* Say where below the folder a path leads; NULL when it is elsewhere. */
static const char *below(const char *path) {
    size_t length = strlen(shared->root);
    if (strncmp(path, shared->root, length) || (path[length] && path[length] != '/'))
        return 0;
    return path[length] ? path + length + 1 : ".";
}

static const char *of_fd(int fd, char *buffer) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, buffer, PATH_MAX - 1);
    if (length < 0)
        return 0;
    buffer[length] = 0;
    if (fd < MOST_FDS && client[fd] && !strncmp(buffer, "socket:", 7))
        return "<client>"; /* and no file that got its number since, unseen by close() */
    return below(buffer);
}

static const char *of_name(int folder, const char *name, char *buffer) {
    if (!name)
        return 0;
    if (!*name)
        return of_fd(folder, buffer);
    if (*name == '/')
        return below(name);
    if (folder == AT_FDCWD) {
        if (!getcwd(buffer, PATH_MAX - 1))
            return 0;
    } else {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        ssize_t length = readlink(link, buffer, PATH_MAX - 1);
        if (length < 0)
            return 0;
        buffer[length] = 0;
    }
    if (strlen(buffer) + strlen(name) + 2 > PATH_MAX)
        return 0;
    strcat(strcat(buffer, "/"), name);
    return below(buffer);
}

/* Note a call; say whether it must fail, with errno set. `*call` stays NULL for one that is not
 * watched. `changes`: it would change the disk, so a full or read-only one refuses it. */
static int enter(struct call **call, const char *op, int changes, const char *path,
                 const char *other) {
    *call = 0;
    if (!armed || inside || !path)
        return 0;
    pthread_mutex_lock(&turn);
    int number = ++shared->count;
    if (number > MOST_CALLS)
        die();
    struct call *entry = *call = &shared->calls[number - 1];
    memset(entry, 0, sizeof *entry);
    int disk = path[0] != '<';
    strncpy(entry->op, !disk && !strcmp(op, "write") ? "send" : op, sizeof entry->op - 1);
    strncpy(entry->path, path, NAME - 1);
    if (other)
        strncpy(entry->other, other, NAME - 1);
    if (shared->at && number == shared->at)
        entry->fault = shared->fault;
    else if (shared->at && number > shared->at && shared->fault == FAIL_ON && disk &&
             (changes || shared->error == EIO))
        entry->fault = FAIL_ON;
    pthread_mutex_unlock(&turn);
    if (entry->fault == KILL_BEFORE)
        die();
    if (entry->fault == FAIL || entry->fault == FAIL_ON) {
        entry->result = -1;
        entry->error = errno = shared->error;
        return 1;
    }
    return 0;
}

static void leave(struct call *call, int64_t result) {
    if (!call)
        return;
    call->result = result;
    call->error = result == -1 ? errno : 0;
    if (call->fault == KILL_AFTER || call->fault == TORN)
        die();
}

static size_t shortened(struct call *call, size_t count) {
    int cut = call && (call->fault == SHORT || call->fault == TORN) && count > 1;
    return cut ? count / 2 : count;
}

static void keep(struct call *call, const void *data, int64_t length, int64_t offset) {
    if (!call || length <= 0)
        return;
    pthread_mutex_lock(&turn);
    if (shared->used + length > ARENA)
        die();
    call->data = shared->used;
    call->offset = offset;
    memcpy(shared->arena + shared->used, data, length);
    shared->used += length;
    pthread_mutex_unlock(&turn);
}

#define WATCHED(op, changes, path, other)                                                          \
    char buffer[PATH_MAX], second[PATH_MAX];                                                       \
    struct call *call;                                                                             \
    (void)second;                                                                                  \
    if (enter(&call, op, changes, armed ? (path) : NOWHERE, armed ? (other) : NOWHERE))            \
    return -1

#define PASS(expression)                                                                           \
    do {                                                                                           \
        typeof(expression) result = (expression);                                                  \
        leave(call, result);                                                                       \
        return result;                                                                             \
    } while (0)

/* --- names ------------------------------------------------------------------------------- */

#define CHANGES(flags) ((flags) & (O_CREAT | O_TRUNC | O_WRONLY | O_RDWR))
#define MODE()                                                                                     \
    mode_t mode = 0;                                                                               \
    if (flags & (O_CREAT | O_TMPFILE)) {                                                           \
        va_list list;                                                                              \
        va_start(list, flags);                                                                     \
        mode = va_arg(list, mode_t);                                                               \
        va_end(list);                                                                              \
    }

#define OPEN(name)                                                                                 \
    int name(const char *path, int flags, ...) {                                                   \
        MODE();                                                                                    \
        REAL(name);                                                                                \
        WATCHED("open", CHANGES(flags), of_name(AT_FDCWD, path, buffer), 0);                       \
        if (call)                                                                                  \
            call->flags = flags;                                                                   \
        PASS(real(path, flags, mode));                                                             \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                               \
    int name(int folder, const char *path, int flags, ...) {                                       \
        MODE();                                                                                    \
        REAL(name);                                                                                \
        WATCHED("open", CHANGES(flags), of_name(folder, path, buffer), 0);                         \
        if (call)                                                                                  \
            call->flags = flags;                                                                   \
        PASS(real(folder, path, flags, mode));                                                     \
    }
OPENAT(openat)
OPENAT(openat64)

#define ONE_NAME(name, op, changes, declared, folder, path, ...)                                   \
    int name declared {                                                                            \
        REAL(name);                                                                                \
        WATCHED(op, changes, of_name(folder, path, buffer), 0);                                    \
        PASS(real(__VA_ARGS__));                                                                   \
    }
ONE_NAME(mkdir, "mkdir", 1, (const char *p, mode_t m), AT_FDCWD, p, p, m)
ONE_NAME(mkdirat, "mkdir", 1, (int f, const char *p, mode_t m), f, p, f, p, m)
ONE_NAME(rmdir, "rmdir", 1, (const char *p), AT_FDCWD, p, p)
ONE_NAME(unlink, "unlink", 1, (const char *p), AT_FDCWD, p, p)
ONE_NAME(unlinkat, "unlink", 1, (int f, const char *p, int g), f, p, f, p, g)
ONE_NAME(stat, "stat", 0, (const char *p, struct stat *s), AT_FDCWD, p, p, s)
ONE_NAME(stat64, "stat", 0, (const char *p, struct stat64 *s), AT_FDCWD, p, p, s)
ONE_NAME(lstat, "stat", 0, (const char *p, struct stat *s), AT_FDCWD, p, p, s)
ONE_NAME(lstat64, "stat", 0, (const char *p, struct stat64 *s), AT_FDCWD, p, p, s)
ONE_NAME(fstatat, "stat", 0, (int f, const char *p, struct stat *s, int g), f, p, f, p, s, g)
ONE_NAME(fstatat64, "stat", 0, (int f, const char *p, struct stat64 *s, int g), f, p, f, p, s, g)
ONE_NAME(chmod, "chmod", 1, (const char *p, mode_t m), AT_FDCWD, p, p, m)
ONE_NAME(fchmodat, "chmod", 1, (int f, const char *p, mode_t m, int g), f, p, f, p, m, g)
ONE_NAME(chown, "chown", 1, (const char *p, uid_t u, gid_t g), AT_FDCWD, p, p, u, g)
ONE_NAME(utimensat, "utime", 1, (int f, const char *p, const struct timespec t[2], int g), f, p, f,
         p, t, g)

#define TWO_NAMES(name, op, declared, folder, path, to, new, ...)                                  \
    int name declared {                                                                            \
        REAL(name);                                                                                \
        WATCHED(op, 1, of_name(folder, path, buffer), of_name(to, new, second));                   \
        PASS(real(__VA_ARGS__));                                                                   \
    }
TWO_NAMES(rename, "rename", (const char *p, const char *n), AT_FDCWD, p, AT_FDCWD, n, p, n)
TWO_NAMES(renameat, "rename", (int f, const char *p, int t, const char *n), f, p, t, n, f, p, t, n)
TWO_NAMES(link, "link", (const char *p, const char *n), AT_FDCWD, p, AT_FDCWD, n, p, n)
TWO_NAMES(linkat, "link", (int f, const char *p, int t, const char *n, int g), f, p, t, n, f, p, t,
          n, g)

/* --- descriptors ------------------------------------------------------------------------- */

#define ONE_FD(name, op, changes, declared, fd, ...)                                               \
    int name declared {                                                                            \
        REAL(name);                                                                                \
        WATCHED(op, changes, of_fd(fd, buffer), 0);                                                \
        PASS(real(__VA_ARGS__));                                                                   \
    }
ONE_FD(fstat, "fstat", 0, (int d, struct stat *s), d, d, s)
ONE_FD(fstat64, "fstat", 0, (int d, struct stat64 *s), d, d, s)
ONE_FD(flock, "flock", 0, (int d, int o), d, d, o)
ONE_FD(lockf64, "lockf", 0, (int d, int c, off64_t l), d, d, c, l)
ONE_FD(fchmod, "chmod", 1, (int d, mode_t m), d, d, m)
ONE_FD(fchown, "chown", 1, (int d, uid_t u, gid_t g), d, d, u, g)
ONE_FD(futimens, "utime", 1, (int d, const struct timespec t[2]), d, d, t)

#define FTRUNCATE(name, type)                                                                      \
    int name(int fd, type length) {                                                                \
        REAL(name);                                                                                \
        WATCHED("ftruncate", 1, of_fd(fd, buffer), 0);                                             \
        if (call)                                                                                  \
            call->length = length;                                                                 \
        PASS(real(fd, length));                                                                    \
    }
FTRUNCATE(ftruncate, off_t)
FTRUNCATE(ftruncate64, off64_t)

#define SYNC(name)                                                                                 \
    int name(int fd) {                                                                             \
        REAL(name);                                                                                \
        WATCHED("fsync", 1, of_fd(fd, buffer), 0);                                                 \
        PASS(call ? 0 : real(fd));                                                                 \
    }
SYNC(fsync)
SYNC(fdatasync)

int close(int fd) {
    REAL(close);
    char buffer[PATH_MAX];
    struct call *call;
    int failed = enter(&call, "close", 0, armed ? of_fd(fd, buffer) : NOWHERE, 0);
    if (fd >= 0 && fd < MOST_FDS)
        client[fd] = 0;
    int error = errno;
    int result = real(fd); /* it is closed even where that fails */
    if (failed) {
        errno = error;
        return -1;
    }
    leave(call, result);
    return result;
}

#define FCNTL(name)                                                                                \
    int name(int fd, int command, ...) {                                                           \
        va_list list;                                                                              \
        va_start(list, command);                                                                   \
        void *argument = va_arg(list, void *);                                                     \
        va_end(list);                                                                              \
        REAL(name);                                                                                \
        int watched = command == F_SETLK || command == F_SETLKW || command == F_OFD_SETLK ||       \
                      command == F_OFD_SETLKW || command == F_DUPFD_CLOEXEC;                       \
        WATCHED("fcntl", 0, watched ? of_fd(fd, buffer) : NOWHERE, 0);                                   \
        PASS(real(fd, command, argument));                                                         \
    }
FCNTL(fcntl)
FCNTL(fcntl64)

/* --- octets ------------------------------------------------------------------------------ */

#define READ(name, declared, ...)                                                                  \
    ssize_t name declared {                                                                        \
        REAL(name);                                                                                \
        WATCHED("read", 0, armed && !(fd < MOST_FDS && client[fd]) ? of_fd(fd, buffer) : NOWHERE, 0);    \
        if (call)                                                                                  \
            call->length = n;                                                                      \
        n = shortened(call, n);                                                                    \
        PASS(real(__VA_ARGS__));                                                                   \
    }
READ(read, (int fd, void *b, size_t n), fd, b, n)
READ(pread, (int fd, void *b, size_t n, off_t o), fd, b, n, o)
READ(pread64, (int fd, void *b, size_t n, off64_t o), fd, b, n, o)

#define PREADV2(name, type)                                                                        \
    ssize_t name(int fd, const struct iovec *parts, int n, type offset, int flags) {               \
        REAL(name);                                                                                \
        WATCHED("read", 0, of_fd(fd, buffer), 0);                                                  \
        struct iovec part = parts[0];                                                              \
        if (call)                                                                                  \
            call->length = part.iov_len;                                                           \
        if (call && n == 1) {                                                                      \
            part.iov_len = shortened(call, part.iov_len);                                          \
            PASS(real(fd, &part, 1, offset, flags));                                               \
        }                                                                                          \
        PASS(real(fd, parts, n, offset, flags));                                                   \
    }
PREADV2(preadv2, off_t)
PREADV2(preadv64v2, off64_t)

static int64_t place(int fd) {
    struct stat status;
    if (fcntl(fd, F_GETFL) & O_APPEND)
        return fstatat(fd, "", &status, AT_EMPTY_PATH) ? 0 : status.st_size;
    return lseek(fd, 0, SEEK_CUR);
}

#define WRITE(name, op, declared, fd, offset, ...)                                                 \
    ssize_t name declared {                                                                        \
        REAL(name);                                                                                \
        WATCHED(op, 1, of_fd(fd, buffer), 0);                                                      \
        inside = 1;                                                                                \
        int64_t start = call ? (offset) : 0;                                                       \
        inside = 0;                                                                                \
        if (call)                                                                                  \
            call->length = n;                                                                      \
        n = shortened(call, n);                                                                    \
        ssize_t result = real(__VA_ARGS__);                                                        \
        keep(call, b, result, start);                                                              \
        leave(call, result);                                                                       \
        return result;                                                                             \
    }
WRITE(write, "write", (int fd, const void *b, size_t n), fd, place(fd), fd, b, n)
WRITE(pwrite, "write", (int fd, const void *b, size_t n, off_t o), fd, o, fd, b, n, o)
WRITE(pwrite64, "write", (int fd, const void *b, size_t n, off64_t o), fd, o, fd, b, n, o)
WRITE(send, "send", (int fd, const void *b, size_t n, int g), fd, 0, fd, b, n, g)

/* Several pieces as one, so that each is a single call in the journal. */
static ssize_t gathered(int fd, const struct iovec *parts, size_t n) {
    static char all[1 << 20];
    size_t length = 0;
    for (size_t i = 0; i < n; i++) {
        if (length + parts[i].iov_len > sizeof all)
            die();
        memcpy(all + length, parts[i].iov_base, parts[i].iov_len);
        length += parts[i].iov_len;
    }
    return write(fd, all, length);
}

static int watched(int fd) {
    char buffer[PATH_MAX];
    return armed && of_fd(fd, buffer) != 0;
}

ssize_t writev(int fd, const struct iovec *parts, int n) {
    REAL(writev);
    return watched(fd) ? gathered(fd, parts, n) : real(fd, parts, n);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    REAL(sendmsg);
    return watched(fd) ? gathered(fd, message->msg_iov, message->msg_iovlen)
                       : real(fd, message, flags);
}

/* What goes round the journal must not be used unseen. */
ssize_t sendfile64(int to, int from, off64_t *offset, size_t n) {
    REAL(sendfile64);
    if (watched(to)) {
        errno = ENOSYS;
        return -1;
    }
    return real(to, from, offset, n);
}

int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags) {
    REAL(accept4);
    int result = real(fd, address, length, flags);
    if (armed && result >= 0 && result < MOST_FDS)
        client[result] = 1;
    return result;
}

int accept(int fd, struct sockaddr *address, socklen_t *length) {
    REAL(accept);
    int result = real(fd, address, length);
    if (armed && result >= 0 && result < MOST_FDS)
        client[result] = 1;
    return result;
}

/* --- folders ----------------------------------------------------------------------------- */

DIR *fdopendir(int fd) {
    REAL(fdopendir);
    char buffer[PATH_MAX];
    struct call *call;
    if (enter(&call, "fdopendir", 0, armed ? of_fd(fd, buffer) : NOWHERE, 0))
        return 0;
    DIR *result = real(fd);
    leave(call, result ? 0 : -1);
    return result;
}

DIR *opendir(const char *path) {
    REAL(opendir);
    char buffer[PATH_MAX];
    struct call *call;
    if (enter(&call, "opendir", 0, armed ? of_name(AT_FDCWD, path, buffer) : NOWHERE, 0))
        return 0;
    DIR *result = real(path);
    leave(call, result ? 0 : -1);
    return result;
}

#define READDIR(name, type)                                                                        \
    type *name(DIR *folder) {                                                                      \
        REAL(name);                                                                                \
        char buffer[PATH_MAX];                                                                     \
        struct call *call;                                                                         \
        if (enter(&call, "readdir", 0, armed ? of_fd(dirfd(folder), buffer) : NOWHERE, 0))               \
            return 0;                                                                              \
        type *result = real(folder);                                                               \
        leave(call, 0);                                                                            \
        return result;                                                                             \
    }
READDIR(readdir, struct dirent)
READDIR(readdir64, struct dirent64)

int closedir(DIR *folder) {
    REAL(closedir);
    char buffer[PATH_MAX];
    struct call *call;
    int failed = enter(&call, "closedir", 0, armed ? of_fd(dirfd(folder), buffer) : NOWHERE, 0);
    int error = errno;
    int result = real(folder);
    if (failed) {
        errno = error;
        return -1;
    }
    leave(call, result);
    return result;
}
