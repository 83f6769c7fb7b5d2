// OP_CLONES before a function: the compiler makes it several times, and the one that suits the processor is
// chosen when the library is loaded. Where compiler or system cannot do that, the function is made once.
#pragma once

#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__clang__) && __GNUC__ >= 12 && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define OP_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define OP_CLONES
#endif

// For what is called from such a function and has to be compiled with it.
#define OP_INLINE inline __attribute__((always_inline))
