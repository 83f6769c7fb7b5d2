/* The example of docs/sdk.md in C: opens, verifies and runs a bundle. */
#include <deploypipe/deploypipe.h>
#include <stdio.h>

static int fail(const dp_error* error) {
  fprintf(stderr, "%s. %s\n", error->message, error->cure);
  return 1;
}

int main(int count, char** words) {
  dp_error error;
  dp_options options = DP_OPTIONS_INIT;
  dp_model* model = NULL;
  dp_verdict* verdict = NULL;
  dp_results* results = NULL;
  if (count < 2) {
    puts(dp_version());
    return 0;
  }
  if (count > 2) options.backend_folder = words[2];
  if (dp_open(words[1], &options, &model, &error) != DP_OK) return fail(&error);
  if (dp_verify(model, &verdict, &error) != DP_OK) return fail(&error);
  puts(dp_verdict_json(verdict));

  const float values[6] = {1, 2, 3, 4, 5, 6};
  const dp_tensor input = {DP_FLOAT32, 2, {2, 3}, values};
  if (dp_run(model, &input, 1, &results, &error) != DP_OK) return fail(&error);
  const float* output = dp_results_tensor(results, 0)->data;
  for (int i = 0; i < 6; ++i) printf("%g ", output[i]);

  dp_results_free(results);
  dp_verdict_free(verdict);
  dp_close(model);
  return 0;
}
