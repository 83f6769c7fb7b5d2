/* deploypipe.h: an app opens a bundle, the bundle proves itself on that very machine, and then it runs.
 *
 *   dp_error error;
 *   dp_model* model = NULL;
 *   if (dp_open("bundle", NULL, &model, &error) != DP_OK) { puts(error.message); puts(error.cure); }
 *
 * Threads: a model may be used by several threads at once; runs of one model follow each other where its runtime asks
 * for it. Nothing is global: what is wrong is written into the dp_error of the call, which may be NULL. No exception
 * leaves a function. What a function gives (model, results, verdict) belongs to the caller until its *_free or
 * dp_close; texts and infos that hang on a model live as long as the model does.
 */
#ifndef DEPLOYPIPE_H
#define DEPLOYPIPE_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define DP_API __declspec(dllexport)
#else
#define DP_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define DP_MAX_RANK 8

typedef enum dp_status {
  DP_OK = 0,
  DP_INVALID_ARGUMENT = 1, /* what the caller gave: NULL, a wrong dtype or shape, NaN where an op is undefined */
  DP_BAD_BUNDLE = 2,       /* damaged, swapped or hostile: nothing of it was loaded */
  DP_UNSUPPORTED = 3,      /* for another platform or version, or for a runtime that this build has no backend for */
  DP_NO_RUNTIME = 4,       /* the shared library of the runtime is not found, or is not what it should be */
  DP_RUNTIME_FAILED = 5,   /* the runtime refused the artifact, or a run failed */
  DP_OUT_OF_MEMORY = 6,
  DP_INTERNAL = 7
} dp_status;

/* What is wrong in one sentence, and what to do about it in another (or ""). Longer texts are cut. */
typedef struct dp_error {
  dp_status status;
  char message[768];
  char cure[256];
} dp_error;

typedef enum dp_dtype {
  DP_FLOAT32 = 1,
  DP_FLOAT64 = 2,
  DP_INT8 = 3,
  DP_UINT8 = 4,
  DP_INT32 = 5,
  DP_INT64 = 6,
  DP_BOOL = 7
} dp_dtype;

/* A dense row-major tensor; the data is borrowed. */
typedef struct dp_tensor {
  dp_dtype dtype;
  int32_t rank;
  int64_t shape[DP_MAX_RANK];
  const void* data;
} dp_tensor;

/* An input or output of a model. A dynamic axis has shape -1, a name, and the sizes that it takes; of a fixed one the
 * name is NULL. */
typedef struct dp_tensor_info {
  const char* name;
  dp_dtype dtype;
  int32_t rank;
  int64_t shape[DP_MAX_RANK];
  const char* axes[DP_MAX_RANK];
  int64_t min[DP_MAX_RANK];
  int64_t max[DP_MAX_RANK];
} dp_tensor_info;

/* An image: rows from the top, pixels from the left, 1 (gray), 3 (RGB) or 4 (RGBA) bytes each. */
typedef struct dp_image {
  const uint8_t* pixels;
  int32_t width;
  int32_t height;
  int32_t channels;
  int64_t stride; /* bytes from row to row; 0 where rows follow each other without a gap */
} dp_image;

/* One class of an output that the manifest describes as classes. */
typedef struct dp_class {
  const char* label;
  double probability;
} dp_class;

/* How to open a bundle; DP_OPTIONS_INIT is what NULL stands for. */
typedef struct dp_options {
  size_t size;                  /* sizeof(dp_options) */
  const char* runtime_library;  /* file of the runtime's shared library; NULL: the bundle's lib/, then the system */
  const char* backend_folder;   /* folder of backends that are libraries of their own; NULL: beside this library */
  const char* temporary_folder; /* a zip is unpacked in a new folder below it; NULL: TMPDIR, then /tmp */
  uint64_t max_bytes;           /* a bundle of more bytes, unpacked, is refused; 0: 4 GiB */
  int32_t threads;              /* of one run; 0: one */
  int32_t without_op_libraries; /* 1: its op libraries stay unused, where the artifact runs without */
} dp_options;

#define DP_OPTIONS_INIT {sizeof(dp_options), NULL, NULL, NULL, 0, 0, 0}

typedef struct dp_model dp_model;
typedef struct dp_results dp_results;
typedef struct dp_verdict dp_verdict;

/* Version of this library, such as "0.1.0". */
DP_API const char* dp_version(void);

/* Bytes of one element, 0 where there is no such dtype. */
DP_API size_t dp_dtype_size(dp_dtype dtype);

/* The runtimes that this build has a backend for or finds one beside it, as JSON: [{"name": "onnxruntime"}, ...]. */
DP_API const char* dp_backends(void);

/* Checks every file of a bundle (a folder, or a zip of one) against its manifest, then loads it into its runtime. */
DP_API dp_status dp_open(const char* path, const dp_options* options, dp_model** model, dp_error* error);
DP_API void dp_close(dp_model* model);

/* The text of the manifest, and the version of the runtime that was loaded ("" where it does not tell). */
DP_API const char* dp_manifest(const dp_model* model);
DP_API const char* dp_runtime_version(const dp_model* model);

DP_API size_t dp_input_count(const dp_model* model);
DP_API size_t dp_output_count(const dp_model* model);
/* NULL where there is no such input or output. */
DP_API const dp_tensor_info* dp_input(const dp_model* model, size_t index);
DP_API const dp_tensor_info* dp_output(const dp_model* model, size_t index);

/* Runs the model once on inputs in the order of its inputs. */
DP_API dp_status dp_run(dp_model* model, const dp_tensor* inputs, size_t count, dp_results** results, dp_error* error);
/* Prepares an image as the manifest says and runs the model on it; the model has one input, and it is an image. */
DP_API dp_status dp_run_image(dp_model* model, const dp_image* image, dp_results** results, dp_error* error);

/* What dp_run_image would give to the model, as one tensor of batch 1. */
DP_API dp_status dp_prepare_image(const dp_model* model, size_t input, const dp_image* image, dp_results** tensor,
                                  dp_error* error);
/* The classes of one row of an output, the most probable first: `count` holds how many `classes` has room for, and then
 * how many were written. */
DP_API dp_status dp_classes(const dp_model* model, const dp_results* results, size_t output, int64_t row,
                            dp_class* classes, size_t* count, dp_error* error);

DP_API size_t dp_results_count(const dp_results* results);
/* NULL where there is no such tensor; it lives as long as the results. */
DP_API const dp_tensor* dp_results_tensor(const dp_results* results, size_t index);
DP_API void dp_results_free(dp_results* results);

/* Golden vectors: how many the bundle holds, and the inputs of one of them. */
DP_API size_t dp_golden_count(const dp_model* model);
DP_API dp_status dp_golden_inputs(const dp_model* model, size_t number, dp_results** inputs, dp_error* error);

/* Runs the golden vectors and judges the outputs by the limits in the manifest. A verdict that did not pass is no error
 * of this function; `dp_verdict_json` gives it as {"passed", "checks", "failures"}, as the manifest has it. */
DP_API dp_status dp_verify(dp_model* model, dp_verdict** verdict, dp_error* error);
DP_API int dp_verdict_passed(const dp_verdict* verdict);
DP_API const char* dp_verdict_json(const dp_verdict* verdict);
DP_API void dp_verdict_free(dp_verdict* verdict);

#ifdef __cplusplus
}
#endif

#endif /* DEPLOYPIPE_H */
