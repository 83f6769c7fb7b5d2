/* Verifies a bundle, prints the verdict, and writes the outputs of all golden vectors:
 * outputs BUNDLE RUNTIME_LIBRARY OUT [without]     an empty RUNTIME_LIBRARY is none
 * The exit status is the dp_status; what is wrong goes to the error output. */
#include <deploypipe/deploypipe.h>
#include <stdio.h>

static int fail(const dp_error* error) {
  fprintf(stderr, "%s. %s\n", error->message, error->cure);
  return (int)error->status;
}

static size_t bytes_of(const dp_tensor* tensor) {
  size_t bytes = dp_dtype_size(tensor->dtype);
  for (int32_t axis = 0; axis < tensor->rank; ++axis) bytes *= (size_t)tensor->shape[axis];
  return bytes;
}

static dp_status write_outputs(dp_model* model, size_t number, FILE* out, dp_error* error) {
  dp_results *inputs = NULL, *outputs = NULL;
  if (dp_golden_inputs(model, number, &inputs, error) != DP_OK) return error->status;
  dp_tensor given[16];
  size_t count = dp_results_count(inputs);
  for (size_t i = 0; i < count; ++i) given[i] = *dp_results_tensor(inputs, i);
  if (dp_run(model, given, count, &outputs, error) == DP_OK) {
    for (size_t i = 0; i < dp_results_count(outputs); ++i) {
      const dp_tensor* tensor = dp_results_tensor(outputs, i);
      fwrite(tensor->data, 1, bytes_of(tensor), out);
    }
  }
  dp_results_free(outputs);
  dp_results_free(inputs);
  return error->status;
}

static int use(dp_model* model, const char* to, dp_error* error) {
  dp_verdict* verdict = NULL;
  if (dp_verify(model, &verdict, error) != DP_OK) return fail(error);
  puts(dp_verdict_json(verdict));
  dp_verdict_free(verdict);
  FILE* out = fopen(to, "wb");
  for (size_t number = 0; number < dp_golden_count(model) && error->status == DP_OK; ++number) {
    write_outputs(model, number, out, error);
  }
  fclose(out);
  return error->status == DP_OK ? 0 : fail(error);
}

int main(int count, char** words) {
  dp_options options = DP_OPTIONS_INIT;
  options.runtime_library = words[2][0] ? words[2] : NULL;
  options.without_op_libraries = count > 4;
  dp_error error;
  dp_model* model = NULL;
  if (dp_open(words[1], &options, &model, &error) != DP_OK) return fail(&error);
  int status = use(model, words[3], &error);
  dp_close(model);
  return status;
}
