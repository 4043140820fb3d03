// Binding to OpenBLAS, loaded at first use so that its kernels can be chosen before it starts.
// OpenBLAS runs one thread per call: parallelism is the pool's.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "CKernels.h"
#include "ft_cpu.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROW_MAJOR = 101, NO_TRANSPOSE = 111, TRANSPOSE = 112 };

typedef void (*sgemm_function)(
    int, int, int, int, int, int, float, const float *, int, const float *, int, float, float *, int);
typedef void (*dgemm_function)(
    int, int, int, int, int, int, double, const double *, int, const double *, int, double, double *, int);

/// Written once under `once`.
static struct {
    void *library;
    sgemm_function sgemm;
    dgemm_function dgemm;
    char version[32];
    char core_name[32];
    char error[256];
} blas;
static pthread_once_t once = PTHREAD_ONCE_INIT;

const char *ft_blas_core_type(const char *core_name, bool cpu_has_avx512, const char *user_setting) {
    static const char *const with_avx512[] = {"SkylakeX", "Cooperlake", "SapphireRapids"};
    if (user_setting != NULL && user_setting[0] != 0) return NULL;
    if (!cpu_has_avx512) return NULL;
    for (size_t i = 0; i < sizeof with_avx512 / sizeof *with_avx512; i++) {
        if (strcasecmp(core_name, with_avx512[i]) == 0) return NULL;
    }
    return "SKYLAKEX";
}

static void *open_library(void) {
    void *library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    return library != NULL ? library : dlopen("libopenblas.so", RTLD_NOW | RTLD_LOCAL);
}

static const char *library_text(const char *function) {
    const char *(*get)(void) = (const char *(*)(void))dlsym(blas.library, function);
    const char *text = get != NULL ? get() : NULL;
    return text != NULL ? text : "unknown";
}

/// Sets a variable that the library reads while it is loaded; `restore` undoes it.
static bool set_for_loading(const char *name, const char *value) {
    if (getenv(name) != NULL) return false;
    return setenv(name, value, 0) == 0;
}

static void load(void) {
    // Without this the library starts a thread per core that would never get work.
    bool set_threads = set_for_loading("OPENBLAS_NUM_THREADS", "1");
    blas.library = open_library();
    if (blas.library != NULL) {
        const char *core = ft_blas_core_type(
            library_text("openblas_get_corename"), ft_cpu_has_avx512(), getenv("OPENBLAS_CORETYPE"));
        // The choice is made by the library's constructor, so it has to be loaded anew.
        if (core != NULL && set_for_loading("OPENBLAS_CORETYPE", core)) {
            dlclose(blas.library);
            blas.library = open_library();
            unsetenv("OPENBLAS_CORETYPE");
        }
    }
    if (set_threads) unsetenv("OPENBLAS_NUM_THREADS");
    if (blas.library == NULL) {
        const char *reason = dlerror();
        snprintf(
            blas.error, sizeof blas.error, "cannot load OpenBLAS (%s); install libopenblas0 or put it on "
            "LD_LIBRARY_PATH", reason != NULL ? reason : "no reason given");
        return;
    }
    blas.sgemm = (sgemm_function)dlsym(blas.library, "cblas_sgemm");
    blas.dgemm = (dgemm_function)dlsym(blas.library, "cblas_dgemm");
    if (blas.sgemm == NULL || blas.dgemm == NULL) {
        blas.sgemm = NULL;
        blas.dgemm = NULL;
        snprintf(blas.error, sizeof blas.error, "the OpenBLAS library found has no cblas_sgemm or cblas_dgemm");
        return;
    }
    void (*set_num_threads)(int) = (void (*)(int))dlsym(blas.library, "openblas_set_num_threads");
    if (set_num_threads != NULL) set_num_threads(1);
    // "OpenBLAS 0.3.21 DYNAMIC_ARCH ..."
    if (sscanf(library_text("openblas_get_config"), "OpenBLAS %31s", blas.version) != 1) {
        snprintf(blas.version, sizeof blas.version, "unknown version");
    }
    snprintf(blas.core_name, sizeof blas.core_name, "%s", library_text("openblas_get_corename"));
}

const char *ft_blas_error(void) {
    pthread_once(&once, load);
    return blas.error[0] != 0 ? blas.error : NULL;
}

void ft_cpu_description(char *text, size_t size) {
    static const char *const names[] = {"portable", "avx2", "avx512"};
    const char *error = ft_blas_error();
    if (error != NULL) {
        snprintf(text, size, "%s kernels, no OpenBLAS, %d threads", names[ft_cpu_isa()], ft_get_num_threads());
    } else {
        snprintf(
            text, size, "%s kernels, OpenBLAS %s %s, %d threads", names[ft_cpu_isa()], blas.version, blas.core_name,
            ft_get_num_threads());
    }
}

/// Products below this many multiplications stay on one thread.
#define PARALLEL_MULTIPLICATIONS 250000
/// Rows or columns of a piece are a multiple of this, so that every kernel runs at full width.
#define PIECE_MULTIPLE 16

#define T float
#define NAME(x) x##_s
#define GEMM ft_sgemm
#define GEMM_SERIAL ft_sgemm_serial
#define BLAS_FUNCTION blas.sgemm
#include "ft_gemm_template.h"
#undef T
#undef NAME
#undef GEMM
#undef GEMM_SERIAL
#undef BLAS_FUNCTION

#define T double
#define NAME(x) x##_d
#define GEMM ft_dgemm
#define GEMM_SERIAL ft_dgemm_serial
#define BLAS_FUNCTION blas.dgemm
#include "ft_gemm_template.h"
