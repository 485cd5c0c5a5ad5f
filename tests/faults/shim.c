/* Preloaded into a process, it stands between that and the file system, for the files under one directory.
 *
 * It kills the process at the n-th call, or lets that call fail, or lets it and all that follow fail; or it writes down all
 * that is done to the files, so that others can tell what a power cut would have left of them. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum mode { NONE, KILL, KILL_IN_WRITE, FAIL_ONCE, FAIL_FOR_GOOD, SHORT_ONCE, SHORT_THEN_FAIL, FULL };
enum kind { WRITE = 'w', TRUNCATE = 't', SYNC = 's', OPEN = 'o', RENAME = 'r', UNLINK = 'u', MKDIR = 'd', MARK = 'm' };
enum { FILES = 4096, PATH = 4096 };

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static volatile long calls, fatal;
static volatile int mode, reads, code = ENOSPC;
static char root[PATH];
static int record = -1;
static int32_t ids[FILES]; /* of the open files under the root; 0: it is none */
static int32_t opened;

/* Only files under this directory count; "" for all. */
void shim_root(const char *path)
{
    snprintf(root, sizeof root, "%s", path);
}

/* From now on something happens at the call number n; errors are this errno. with_reads: reading calls count too.
 * FULL: after n bytes more the disk is full. */
void shim_arm(long n, int what, int error, int with_reads)
{
    mode = NONE;
    calls = 0;
    fatal = n;
    code = error;
    reads = with_reads;
    mode = what;
}

/* Calls since it was armed. */
long shim_calls(void)
{
    return calls;
}

/* From now on, all that is done goes into the file path, which lies elsewhere. */
void shim_record(const char *path)
{
    record = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (record < 0)
        abort();
}

static void all(const void *data, size_t size)
{
    for (const char *next = data; size;) {
        long done = syscall(SYS_write, record, next, size);
        if (done <= 0)
            abort();
        next += done;
        size -= (size_t)done;
    }
}

static void note(enum kind kind, int32_t id, int64_t offset, const void *data, size_t size)
{
    struct {
        int32_t kind, id;
        int64_t offset, size;
    } head = {kind, id, offset, (int64_t)size};
    if (record < 0)
        return;
    all(&head, sizeof head);
    all(data, size);
}

/* Something that happened beside the files. */
void shim_mark(const char *text)
{
    pthread_mutex_lock(&turn);
    note(MARK, 0, 0, text, strlen(text));
    pthread_mutex_unlock(&turn);
}

static int ours(const char *path)
{
    return strncmp(path, root, strlen(root)) == 0;
}

static int32_t id_of(int fd)
{
    return fd >= 0 && fd < FILES ? ids[fd] : 0;
}

static void die(void)
{
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

/* What is to become of a call: 0 it is made, 1 half of it if it is a write, -1 it fails. */
static int fate(void)
{
    long number = __sync_add_and_fetch(&calls, 1);
    if (mode == NONE || mode == FULL || fatal == 0 || number < fatal)
        return 0;
    int first = number == fatal;
    switch (mode) {
    case KILL:
        if (first)
            die();
        return 0;
    case KILL_IN_WRITE:
    case SHORT_ONCE:
        return first;
    case FAIL_ONCE:
        return first ? -1 : 0;
    case SHORT_THEN_FAIL:
        return first ? 1 : -1;
    default:
        return -1;
    }
}

static long refused(void)
{
    errno = code;
    return -1;
}

/* A call that is no write: it may be killed or refused here. */
static int barred(int counts)
{
    if (!counts)
        return 0;
    int what = fate();
    if (what > 0 && mode == KILL_IN_WRITE)
        die();
    return what < 0;
}

static ssize_t put(int fd, const void *data, size_t size, int64_t offset)
{
    int32_t id = id_of(fd);
    if (id) {
        int what = fate();
        if (what < 0)
            return refused();
        if (what > 0 && size > 1)
            size /= 2;
        if (mode == FULL) {
            long room = __sync_fetch_and_sub(&fatal, (long)size);
            if (room <= 0)
                return refused();
            if ((long)size > room)
                size = (size_t)room;
        }
        if (what > 0 && mode == KILL_IN_WRITE) {
            if (offset < 0)
                syscall(SYS_write, fd, data, size);
            else
                syscall(SYS_pwrite64, fd, data, size, offset);
            die();
        }
    }
    if (!id || record < 0)
        return offset < 0 ? syscall(SYS_write, fd, data, size) : syscall(SYS_pwrite64, fd, data, size, offset);
    pthread_mutex_lock(&turn);
    int64_t place = offset < 0 ? syscall(SYS_lseek, fd, 0, SEEK_CUR) : offset;
    ssize_t done = offset < 0 ? syscall(SYS_write, fd, data, size) : syscall(SYS_pwrite64, fd, data, size, offset);
    if (done > 0)
        note(WRITE, id, place, data, (size_t)done);
    pthread_mutex_unlock(&turn);
    return done;
}

ssize_t write(int fd, const void *data, size_t size)
{
    return put(fd, data, size, -1);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
    return put(fd, data, size, offset);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    return put(fd, data, size, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int number)
{
    if (!id_of(fd))
        return syscall(SYS_writev, fd, parts, number);
    size_t size = 0;
    for (int i = 0; i < number; i++)
        size += parts[i].iov_len;
    char *joined = malloc(size + 1), *next = joined;
    for (int i = 0; i < number; i++)
        next = mempcpy(next, parts[i].iov_base, parts[i].iov_len);
    ssize_t done = put(fd, joined, size, -1);
    free(joined);
    return done;
}

ssize_t read(int fd, void *data, size_t size)
{
    return barred(id_of(fd) && reads) ? refused() : syscall(SYS_read, fd, data, size);
}

ssize_t pread64(int fd, void *data, size_t size, off64_t offset)
{
    return barred(id_of(fd) && reads) ? refused() : syscall(SYS_pread64, fd, data, size, offset);
}

ssize_t pread(int fd, void *data, size_t size, off_t offset)
{
    return pread64(fd, data, size, offset);
}

/* What copies without our seeing it is not offered; who would use it does without. */
ssize_t sendfile64(int out, int in, off64_t *offset, size_t size)
{
    if (id_of(out)) {
        errno = EINVAL;
        return -1;
    }
    return syscall(SYS_sendfile, out, in, offset, size);
}

ssize_t sendfile(int out, int in, off_t *offset, size_t size)
{
    return sendfile64(out, in, offset, size);
}

static int do_open(int at, const char *path, int flags, mode_t rights)
{
    int counts = ours(path) && (at == AT_FDCWD || path[0] == '/');
    if (barred(counts && ((flags & (O_CREAT | O_TRUNC)) || reads)))
        return (int)refused();
    pthread_mutex_lock(&turn);
    int fd = (int)syscall(SYS_openat, at, path, flags, rights);
    if (fd >= 0 && fd < FILES) {
        ids[fd] = counts ? ++opened : 0;
        if (counts)
            note(OPEN, ids[fd], flags & (O_CREAT | O_TRUNC), path, strlen(path));
    }
    pthread_mutex_unlock(&turn);
    return fd;
}

#define RIGHTS(flags)                                                                                                  \
    mode_t rights = 0;                                                                                                 \
    if ((flags) & O_CREAT) {                                                                                           \
        va_list arguments;                                                                                             \
        va_start(arguments, flags);                                                                                    \
        rights = va_arg(arguments, mode_t);                                                                            \
        va_end(arguments);                                                                                             \
    }

int open(const char *path, int flags, ...)
{
    RIGHTS(flags)
    return do_open(AT_FDCWD, path, flags, rights);
}

int open64(const char *path, int flags, ...)
{
    RIGHTS(flags)
    return do_open(AT_FDCWD, path, flags, rights);
}

int openat(int at, const char *path, int flags, ...)
{
    RIGHTS(flags)
    return do_open(at, path, flags, rights);
}

int openat64(int at, const char *path, int flags, ...)
{
    RIGHTS(flags)
    return do_open(at, path, flags, rights);
}

int close(int fd)
{
    if (fd >= 0 && fd < FILES)
        ids[fd] = 0;
    return (int)syscall(SYS_close, fd);
}

static int sync_with(long call, int fd)
{
    int32_t id = id_of(fd);
    if (barred(id != 0))
        return (int)refused();
    pthread_mutex_lock(&turn);
    int done = (int)syscall(call, fd);
    if (id && done == 0)
        note(SYNC, id, 0, "", 0);
    pthread_mutex_unlock(&turn);
    return done;
}

int fsync(int fd)
{
    return sync_with(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    return sync_with(SYS_fdatasync, fd);
}

int rename(const char *from, const char *to)
{
    char both[2 * PATH];
    if (barred(ours(from)))
        return (int)refused();
    pthread_mutex_lock(&turn);
    int done = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    if (ours(from) && done == 0)
        note(RENAME, 0, 0, both, (size_t)snprintf(both, sizeof both, "%s\n%s", from, to));
    pthread_mutex_unlock(&turn);
    return done;
}

static int removed(int at, const char *path, int flags)
{
    int counts = ours(path);
    if (barred(counts))
        return (int)refused();
    pthread_mutex_lock(&turn);
    int done = (int)syscall(SYS_unlinkat, at, path, flags);
    if (counts && done == 0)
        note(UNLINK, 0, 0, path, strlen(path));
    pthread_mutex_unlock(&turn);
    return done;
}

int unlink(const char *path)
{
    return removed(AT_FDCWD, path, 0);
}

int rmdir(const char *path)
{
    return removed(AT_FDCWD, path, AT_REMOVEDIR);
}

int mkdir(const char *path, mode_t rights)
{
    if (barred(ours(path)))
        return (int)refused();
    pthread_mutex_lock(&turn);
    int done = (int)syscall(SYS_mkdirat, AT_FDCWD, path, rights);
    if (ours(path) && done == 0)
        note(MKDIR, 0, 0, path, strlen(path));
    pthread_mutex_unlock(&turn);
    return done;
}

static int cut(int fd, int32_t id, const char *path, int64_t size)
{
    if (barred(id || (path && ours(path))))
        return (int)refused();
    pthread_mutex_lock(&turn);
    int done = (int)(path ? syscall(SYS_truncate, path, size) : syscall(SYS_ftruncate, fd, size));
    if (done == 0 && (id || (path && ours(path))))
        note(TRUNCATE, id, size, path ? path : "", path ? strlen(path) : 0);
    pthread_mutex_unlock(&turn);
    return done;
}

int ftruncate64(int fd, off64_t size)
{
    return cut(fd, id_of(fd), NULL, size);
}

int ftruncate(int fd, off_t size)
{
    return cut(fd, id_of(fd), NULL, size);
}

int truncate64(const char *path, off64_t size)
{
    return cut(-1, 0, path, size);
}

int truncate(const char *path, off_t size)
{
    return cut(-1, 0, path, size);
}
