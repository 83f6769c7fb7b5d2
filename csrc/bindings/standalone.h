// The ops of a library without any runtime, as a C function. Tests, measurements and the tool run_op use it.
#pragma once

#include <cstdint>

extern "C" {

/// A dense row-major tensor; its element type is the one that the op takes there.
struct DeploypipeTensor {
  void* data;
  const std::int64_t* shape;
  std::int64_t rank;
};

/// Runs an op `repeats` times on outputs that the caller has allocated.
///
/// @param name of the op, as in its signature.
/// @param inputs in the order of the signature; attributes likewise, integers as doubles.
/// @param threads the work is split over so many threads, and runs in the calling one where it is 1.
/// @return nullptr, or what is wrong as a text that holds until the next call of this thread.
[[gnu::visibility("default")]] const char* deploypipe_run(const char* name, const DeploypipeTensor* inputs,
                                                          const double* attributes, const DeploypipeTensor* outputs,
                                                          int threads, std::int64_t repeats);

/// Works out the shapes of the outputs: `sizes` receives 8 numbers for each output, `ranks` how many of them count.
[[gnu::visibility("default")]] const char* deploypipe_infer(const char* name, const DeploypipeTensor* inputs,
                                                            const double* attributes, std::int64_t* sizes,
                                                            std::int64_t* ranks);

/// The number of tensors that an op takes; -1 where there is no such op.
[[gnu::visibility("default")]] std::int64_t deploypipe_inputs(const char* name);

/// The names of the ops and their tensors as JSON.
const char* deploypipe_describe();

/// The instruction set in use, those that this processor has with blanks between, and choosing one by name: 0, or
/// -1 where the processor does not have it.
const char* deploypipe_isa();
const char* deploypipe_isas();
int deploypipe_set_isa(const char* name);
}
