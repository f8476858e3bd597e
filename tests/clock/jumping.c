/* A wall clock that jumps, to preload under the program: CLOCK_SHIFT seconds are added at every
   other reading, or at all of them when CLOCK_STEADY is set. Other clocks are as they are. */

#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now)
{
    static unsigned readings;
    long failed = syscall(SYS_clock_gettime, clock, now);
    if (!failed && clock == CLOCK_REALTIME) {
        const char *shift = getenv("CLOCK_SHIFT");
        unsigned reading = __atomic_add_fetch(&readings, 1, __ATOMIC_RELAXED);
        if (shift && (getenv("CLOCK_STEADY") || reading % 2)) now->tv_sec += atol(shift);
    }
    return failed ? -1 : 0;
}
