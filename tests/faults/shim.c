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
#include <time.h>
#include <unistd.h>

enum { MOST_CALLS = 8192, ARENA = 32 << 20, NAME = 256, MOST_FDS = 65536 };

enum fault {
    NONE, KILL_BEFORE, KILL_AFTER, FAIL, FAIL_ON, SHORT, TORN, MEET, FULL, NO_NAMES, READ_ONLY
};

/* Whether a call waits until another process has worked. */
enum meeting { NOBODY, WAITS, GOES_ON };

/* What a call does to the disk: nothing; a change; a change that takes room, or a name. */
enum change { READS, CHANGES, TAKES_ROOM, TAKES_NAME };

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
    int64_t room;  /* octets that were freed on a disk that is full */
    int64_t names; /* files that were removed from one that has no more of them */
    volatile int32_t meeting; /* of enum meeting */
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

/* --- a disk without room, from the planned call on ----------------------------------------- */

static __thread int64_t growth; /* of the file that is being written */

static int is_state(void) { return shared->at && shared->fault >= FULL; }

/* Say how many octets a file grows by a write, and whether that is too much. */
static int takes_room(int fd, int64_t start, int64_t length) {
    struct stat status;
    growth = 0;
    if (!armed || !is_state() || shared->fault == READ_ONLY)
        return CHANGES;
    inside++;
    int error = errno, file = !fstatat(fd, "", &status, AT_EMPTY_PATH) && S_ISREG(status.st_mode);
    growth = file ? start + length - status.st_size : 0;
    errno = error;
    inside--;
    return growth > shared->room ? TAKES_ROOM : CHANGES;
}

static int takes_name(int folder, const char *name, int flags) {
    struct stat status;
    if (!(flags & O_CREAT))
        return flags & (O_TRUNC | O_WRONLY | O_RDWR) ? CHANGES : READS;
    if (!armed || !is_state())
        return CHANGES;
    inside++;
    int error = errno, missing = fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW);
    errno = error;
    inside--;
    return missing && !shared->names ? TAKES_NAME : CHANGES;
}

/* Return the octets that go when a name goes; -1 where nothing does. */
static int64_t freed_by(int folder, const char *name) {
    struct stat status;
    if (!armed || !is_state())
        return -1;
    inside++;
    int error = errno, missing = fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW);
    errno = error;
    inside--;
    return missing || status.st_nlink > 1 ? -1 : S_ISREG(status.st_mode) ? status.st_size : 0;
}

static void set_free(int64_t octets, int result) {
    if (result || octets < 0)
        return;
    shared->room += octets;
    shared->names++;
}

/* Let another process work, unless the fault was healed. */
static void meet(void) {
    struct timespec pause = {0, 200000};
    shared->meeting = WAITS;
    while (shared->meeting == WAITS && shared->at)
        nanosleep(&pause, 0);
}

static int strikes(int number, int disk, int change) {
    if (!shared->at || number < shared->at)
        return 0;
    switch (shared->fault) {
    case FULL:
        return disk && change == TAKES_ROOM;
    case NO_NAMES:
        return disk && change >= TAKES_ROOM;
    case READ_ONLY:
        return disk && change;
    case FAIL_ON:
        return number == shared->at || (disk && (change || shared->error == EIO));
    }
    return number == shared->at;
}

/* Note a call; say whether it must fail, with errno set. `*call` stays NULL for one that is not
 * watched. `changes`: what it would do to the disk, which a full or read-only one refuses. */
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
    if (strikes(number, disk, changes))
        entry->fault = shared->fault;
    pthread_mutex_unlock(&turn);
    if (entry->fault == KILL_BEFORE)
        die();
    if (entry->fault == MEET)
        meet();
    if (entry->fault == FAIL || entry->fault == FAIL_ON || entry->fault >= FULL) {
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
        WATCHED("open", takes_name(AT_FDCWD, path, flags), of_name(AT_FDCWD, path, buffer), 0);    \
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
        WATCHED("open", takes_name(folder, path, flags), of_name(folder, path, buffer), 0);        \
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
ONE_NAME(mkdir, "mkdir", TAKES_NAME, (const char *p, mode_t m), AT_FDCWD, p, p, m)
ONE_NAME(mkdirat, "mkdir", TAKES_NAME, (int f, const char *p, mode_t m), f, p, f, p, m)
ONE_NAME(rmdir, "rmdir", 1, (const char *p), AT_FDCWD, p, p)
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

#define UNLINK(name, declared, folder, path, ...)                                                  \
    int name declared {                                                                            \
        REAL(name);                                                                                \
        int64_t octets = freed_by(folder, path);                                                   \
        WATCHED("unlink", 1, of_name(folder, path, buffer), 0);                                    \
        int result = real(__VA_ARGS__);                                                            \
        leave(call, result);                                                                       \
        set_free(octets, call ? result : -1);                                                      \
        return result;                                                                             \
    }
UNLINK(unlink, (const char *p), AT_FDCWD, p, p)
UNLINK(unlinkat, (int f, const char *p, int g), f, p, f, p, g)

#define TWO_NAMES(name, op, changes, declared, folder, path, to, new, ...)                         \
    int name declared {                                                                            \
        REAL(name);                                                                                \
        int64_t octets = changes == CHANGES ? freed_by(to, new) : -1;                              \
        WATCHED(op, changes, of_name(folder, path, buffer), of_name(to, new, second));             \
        int result = real(__VA_ARGS__);                                                            \
        leave(call, result);                                                                       \
        set_free(octets, call ? result : -1);                                                      \
        return result;                                                                             \
    }
TWO_NAMES(rename, "rename", CHANGES, (const char *p, const char *n), AT_FDCWD, p, AT_FDCWD, n, p, n)
TWO_NAMES(renameat, "rename", CHANGES, (int f, const char *p, int t, const char *n), f, p, t, n, f,
          p, t, n)
TWO_NAMES(link, "link", TAKES_NAME, (const char *p, const char *n), AT_FDCWD, p, AT_FDCWD, n, p, n)
TWO_NAMES(linkat, "link", TAKES_NAME, (int f, const char *p, int t, const char *n, int g), f, p, t,
          n, f, p, t, n, g)

/* The text of a link is kept as what is written to a file. */
#define SYMLINK(name, declared, folder, target, path, ...)                                         \
    int name declared {                                                                            \
        REAL(name);                                                                                \
        WATCHED("symlink", TAKES_NAME, of_name(folder, path, buffer), 0);                          \
        int result = real(__VA_ARGS__);                                                            \
        keep(call, target, result ? 0 : strlen(target), 0);                                        \
        if (call)                                                                                  \
            call->length = strlen(target);                                                         \
        leave(call, result);                                                                       \
        return result;                                                                             \
    }
SYMLINK(symlink, (const char *t, const char *p), AT_FDCWD, t, p, t, p)
SYMLINK(symlinkat, (const char *t, int f, const char *p), f, t, p, t, f, p)

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
        struct stat status = {0};                                                                  \
        inside++;                                                                                  \
        fstatat(fd, "", &status, AT_EMPTY_PATH);                                                   \
        inside--;                                                                                  \
        WATCHED("ftruncate", 1, of_fd(fd, buffer), 0);                                             \
        if (call)                                                                                  \
            call->length = length;                                                                 \
        int result = real(fd, length);                                                             \
        leave(call, result);                                                                       \
        if (call && !result && status.st_size > length)                                            \
            shared->room += status.st_size - length;                                               \
        return result;                                                                             \
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
        inside++;                                                                                  \
        int64_t start = armed ? (offset) : 0;                                                      \
        inside--;                                                                                  \
        int change = takes_room(fd, start, n);                                                     \
        WATCHED(op, change, of_fd(fd, buffer), 0);                                                 \
        if (call)                                                                                  \
            call->length = n;                                                                      \
        n = shortened(call, n);                                                                    \
        ssize_t result = real(__VA_ARGS__);                                                        \
        if (call && is_state() && result > 0 && growth > 0)                                        \
            shared->room -= growth;                                                                \
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
