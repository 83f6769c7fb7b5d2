// Runs one op on the tensors of a file: run_op OP IN OUT [ISA [REPEATS]]
//
// IN and OUT are streams of tensors: rank, then the sizes, then the number of bytes, each as int64, then the bytes.
// IN holds first the attributes as one float64 tensor, then the inputs, then the outputs, whose bytes are ignored.
// OUT receives the outputs.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "bindings/standalone.h"

namespace {

struct Tensor {
  std::vector<std::int64_t> shape;
  std::vector<char> bytes;

  DeploypipeTensor view() { return {bytes.data(), shape.data(), static_cast<std::int64_t>(shape.size())}; }
};

std::int64_t read_number(std::istream& in) {
  std::int64_t value = 0;
  in.read(reinterpret_cast<char*>(&value), sizeof(value));
  return in ? value : -1;
}

bool read(std::istream& in, Tensor& tensor) {
  const std::int64_t rank = read_number(in);
  if (rank < 0) return false;
  for (std::int64_t i = 0; i < rank; ++i) tensor.shape.push_back(read_number(in));
  tensor.bytes.resize(static_cast<std::size_t>(read_number(in)));
  in.read(tensor.bytes.data(), static_cast<std::streamsize>(tensor.bytes.size()));
  return static_cast<bool>(in);
}

void write(std::ostream& out, const Tensor& tensor) {
  const auto put = [&out](std::int64_t value) { out.write(reinterpret_cast<const char*>(&value), sizeof(value)); };
  put(static_cast<std::int64_t>(tensor.shape.size()));
  for (const std::int64_t size : tensor.shape) put(size);
  put(static_cast<std::int64_t>(tensor.bytes.size()));
  out.write(tensor.bytes.data(), static_cast<std::streamsize>(tensor.bytes.size()));
}

int fail(const std::string& message) {
  std::cerr << "run_op: " << message << "\n";
  return 1;
}

int run(const std::string& op, const char* from, const char* to, std::int64_t repeats) {
  std::ifstream in(from, std::ios::binary);
  std::vector<Tensor> tensors;
  for (Tensor tensor; read(in, tensor); tensor = Tensor()) tensors.push_back(std::move(tensor));
  if (tensors.empty()) return fail(std::string(from) + " holds no tensors");
  const auto* attributes = reinterpret_cast<const double*>(tensors.front().bytes.data());
  const std::int64_t inputs = deploypipe_inputs(op.c_str());
  if (inputs < 0 || inputs + 1 > static_cast<std::int64_t>(tensors.size())) return fail("too few tensors for " + op);
  std::vector<DeploypipeTensor> views;
  views.reserve(tensors.size());
  for (Tensor& tensor : tensors) views.push_back(tensor.view());
  const DeploypipeTensor* first = views.data() + 1;
  if (const char* error = deploypipe_run(op.c_str(), first, attributes, first + inputs, 1, repeats)) return fail(error);
  std::ofstream out(to, std::ios::binary);
  for (std::size_t i = static_cast<std::size_t>(inputs) + 1; i < tensors.size(); ++i) write(out, tensors[i]);
  return out ? 0 : fail(std::string(to) + " cannot be written");
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 4) return fail("usage: run_op OP IN OUT [ISA [REPEATS]]");
  if (count > 4 && deploypipe_set_isa(arguments[4]) != 0) return fail("this processor does not have that set");
  return run(arguments[1], arguments[2], arguments[3], count > 5 ? std::strtoll(arguments[5], nullptr, 10) : 1);
}
