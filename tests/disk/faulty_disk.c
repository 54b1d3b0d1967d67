// A disk that fails, or a process that dies, at a chosen call: to be loaded before the C library
// (LD_PRELOAD), so that whatever a process writes with passes here.
//
// faulty_disk(prefix, at, mode, error): from now on calls that change files below `prefix` are
// counted, and at the `at`-th (from 1; 0 for none) happens what `mode` says:
//     1  the process is killed
//     2  the call fails with `error`, once
//     3  it and all later calls that need room fail with `error`
//     4  the process is stopped (SIGSTOP), so that others can look; then the call is done
// A write counts twice: as a whole, and after the first half of it is written.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { kKill = 1, kOnce, kFull, kStop };

static char prefix[PATH_MAX];
static long at, count;
static int mode, error, failing;

void faulty_disk(const char* below, long nth, int what, int errnum) {
  at = nth;
  mode = what;
  error = errnum;
  count = failing = 0;
  snprintf(prefix, sizeof prefix, "%s", below);
}

long faulty_calls(void) { return count; }

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int below(const char* path) {
  return prefix[0] && path && strncmp(path, prefix, strlen(prefix)) == 0;
}

static int at_below(int folder, const char* path) {
  char link[64], whole[PATH_MAX];
  if (!prefix[0] || !path) return 0;
  if (path[0] == '/' || folder == AT_FDCWD) return below(path);
  snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
  ssize_t length = readlink(link, whole, sizeof whole - 1);
  if (length < 0) return 0;
  whole[length] = 0;
  return below(whole);
}

static int handle_below(int handle) {
  char link[64], whole[PATH_MAX];
  if (!prefix[0]) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
  ssize_t length = readlink(link, whole, sizeof whole - 1);
  if (length < 0) return 0;
  whole[length] = 0;
  return below(whole);
}

// Whether a call that is due fails now.
static int due(int needs_room) {
  if (failing) {
    if (needs_room) errno = error;
    return needs_room;
  }
  if (__atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST) != at) return 0;
  if (mode == kKill) kill(getpid(), SIGKILL);
  if (mode == kStop) {
    kill(getpid(), SIGSTOP);
    return 0;
  }
  if (mode == kFull && !needs_room) {
    at++;  // the next one that does
    return 0;
  }
  failing = mode == kFull;
  errno = error;
  return 1;
}

#define CHANGES(writes_to) ((writes_to) & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC))

#define OPEN(name)                                                          \
  int name(const char* path, int flags, ...) {                              \
    va_list more;                                                           \
    va_start(more, flags);                                                  \
    int permissions = va_arg(more, int);                                    \
    va_end(more);                                                           \
    if (CHANGES(flags) && below(path) && due(flags & O_CREAT)) return -1;   \
    return REAL(name)(path, flags, permissions);                            \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                   \
  int name(int folder, const char* path, int flags, ...) {                             \
    va_list more;                                                                      \
    va_start(more, flags);                                                             \
    int permissions = va_arg(more, int);                                               \
    va_end(more);                                                                      \
    if (CHANGES(flags) && at_below(folder, path) && due(flags & O_CREAT)) return -1;   \
    return REAL(name)(folder, path, flags, permissions);                               \
  }
OPENAT(openat)
OPENAT(openat64)

ssize_t write(int handle, const void* data, size_t size) {
  if (handle_below(handle)) {
    if (due(1)) return -1;
    if (size > 1) {
      ssize_t half = REAL(write)(handle, data, size / 2);
      if (half < 0 || due(1)) return half;
      ssize_t rest = REAL(write)(handle, (const char*)data + half, size - half);
      return rest < 0 ? half : half + rest;
    }
  }
  return REAL(write)(handle, data, size);
}

#define PWRITE(name, kind)                                                                 \
  ssize_t name(int handle, const void* data, size_t size, kind place) {                    \
    if (handle_below(handle)) {                                                            \
      if (due(1)) return -1;                                                               \
      if (size > 1) {                                                                      \
        ssize_t half = REAL(name)(handle, data, size / 2, place);                          \
        if (half < 0 || due(1)) return half;                                               \
        ssize_t rest = REAL(name)(handle, (const char*)data + half, size - half, place + half); \
        return rest < 0 ? half : half + rest;                                              \
      }                                                                                    \
    }                                                                                      \
    return REAL(name)(handle, data, size, place);                                          \
  }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

ssize_t writev(int handle, const struct iovec* parts, int many) {
  if (handle_below(handle) && due(1)) return -1;
  return REAL(writev)(handle, parts, many);
}

ssize_t sendfile(int to, int from, off_t* place, size_t size);
ssize_t sendfile(int to, int from, off_t* place, size_t size) {
  if (handle_below(to) && due(1)) return -1;
  return REAL(sendfile)(to, from, place, size);
}

ssize_t sendfile64(int to, int from, off64_t* place, size_t size);
ssize_t sendfile64(int to, int from, off64_t* place, size_t size) {
  if (handle_below(to) && due(1)) return -1;
  return REAL(sendfile64)(to, from, place, size);
}

ssize_t copy_file_range(int from, off64_t* out, int to, off64_t* in, size_t size, unsigned flags) {
  if (handle_below(to) && due(1)) return -1;
  return REAL(copy_file_range)(from, out, to, in, size, flags);
}

#define BY_HANDLE(name, parameters, arguments, needs_room) \
  int name parameters {                                    \
    if (handle_below(handle) && due(needs_room)) return -1; \
    return REAL(name) arguments;                           \
  }
BY_HANDLE(fsync, (int handle), (handle), 1)
BY_HANDLE(fdatasync, (int handle), (handle), 1)
BY_HANDLE(ftruncate, (int handle, off_t size), (handle, size), size > 0)
BY_HANDLE(ftruncate64, (int handle, off64_t size), (handle, size), size > 0)
BY_HANDLE(posix_fallocate, (int handle, off_t from, off_t size), (handle, from, size), 1)

#define BY_PATH(name, parameters, arguments, is_below, needs_room) \
  int name parameters {                                            \
    if ((is_below) && due(needs_room)) return -1;                  \
    return REAL(name) arguments;                                   \
  }
BY_PATH(rename, (const char* a, const char* b), (a, b), below(b) || below(a), 0)
BY_PATH(renameat, (int f, const char* a, int g, const char* b), (f, a, g, b),
        at_below(g, b) || at_below(f, a), 0)
BY_PATH(unlink, (const char* path), (path), below(path), 0)
BY_PATH(unlinkat, (int f, const char* path, int flags), (f, path, flags), at_below(f, path), 0)
BY_PATH(rmdir, (const char* path), (path), below(path), 0)
BY_PATH(mkdir, (const char* path, mode_t m), (path, m), below(path), 1)
BY_PATH(mkdirat, (int f, const char* path, mode_t m), (f, path, m), at_below(f, path), 1)
BY_PATH(link, (const char* a, const char* b), (a, b), below(b), 1)
BY_PATH(linkat, (int f, const char* a, int g, const char* b, int flags), (f, a, g, b, flags),
        at_below(g, b), 1)
BY_PATH(truncate, (const char* path, off_t size), (path, size), below(path), size > 0)
