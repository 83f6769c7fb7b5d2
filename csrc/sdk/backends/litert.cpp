// LiteRT, on the C API of libLiteRt.so, which is opened at run time. A file with a signature for each of some batches
// runs a batch of another size in pieces, as deploypipe/runtimes/tflite/batches.py does.
#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "backends/backend.h"
#include "backends/litert_file.h"
#include "backends/litert_functions.h"
#include "backends/litert_model.h"
#include "backends/litert_op_library.h"
#include "error.h"
#include "library.h"
#include "tensor.h"
#include "text.h"

namespace dp {
namespace {

using litert::CompiledSignature;
using litert::Sized;

/// libLiteRt.so and its functions, which all that was made with them shares.
struct Opened {
  explicit Opened(const Library& library)
      : handle(library.handle()), functions(litert::functions_of(library)), ops(library.handle()) {
    if (!ops.missing().empty()) litert::refuse(library, ops.missing());
  }

  void* handle;
  litert::Functions functions;
  litert::Api ops;
};

std::size_t bytes_of_row(const View& tensor) {
  const std::int64_t rows = tensor.shape.front();
  return static_cast<std::size_t>(elements(tensor.shape) / rows) * size_of(tensor.dtype);
}

/// Rows `from` to `from + rows` of every input.
std::vector<View> part(const std::vector<View>& inputs, std::int64_t from, std::int64_t rows) {
  std::vector<View> parts = inputs;
  for (View& input : parts) {
    input.data = static_cast<const std::byte*>(input.data) + static_cast<std::size_t>(from) * bytes_of_row(input);
    input.shape.front() = rows;
  }
  return parts;
}

/// Puts the rows of a tensor behind those of another.
void append(Tensor& whole, const Tensor& rows) {
  const bool alike = !whole.shape.empty() && whole.shape.size() == rows.shape.size() &&
                     std::equal(whole.shape.begin() + 1, whole.shape.end(), rows.shape.begin() + 1);
  if (!alike) {
    throw Error(DP_RUNTIME_FAILED, "The outputs of single batches do not fit together", "Build the bundle again.");
  }
  whole.shape.front() += rows.shape.front();
  whole.bytes.insert(whole.bytes.end(), rows.bytes.begin(), rows.bytes.end());
}

class LitertSession : public Session {
 public:
  LitertSession(std::shared_ptr<const Opened> opened, const Artifact& artifact)
      : opened_(std::move(opened)),
        threads_(artifact.threads),
        inputs_(dtypes_of(artifact.inputs)),
        outputs_(artifact.outputs.size()),
        libraries_(artifact.libraries.begin(), artifact.libraries.end()),
        file_(opened_->functions, artifact.file) {
    if (libraries_.empty()) refuse_custom_ops();
    sized_ = file_.sized();
    compiled(sized_.empty() ? Sized{} : sized_.back());
  }

  std::vector<Tensor> run(const std::vector<View>& inputs) override {
    for (const View& input : inputs) {
      if (elements(input.shape) == 0) {
        throw Error(DP_INVALID_ARGUMENT, "LiteRT takes no empty input", "Give at least one row.");
      }
    }
    return sized_.empty() ? compiled({}).run(inputs) : run_in_pieces(inputs);
  }

 private:
  static std::vector<dp_dtype> dtypes_of(const std::vector<TensorInfo>& infos) {
    std::vector<dp_dtype> dtypes;
    dtypes.reserve(infos.size());
    for (const TensorInfo& info : infos) dtypes.push_back(info.dtype);
    return dtypes;
  }

  /// LiteRT would say so only when a model runs.
  void refuse_custom_ops() const {
    const std::set<std::string> missing = file_.custom_codes(opened_->ops);
    if (missing.empty()) return;
    throw Error(DP_RUNTIME_FAILED, "There is no kernel for " + joined({missing.begin(), missing.end()}) + " in LiteRT",
                "Give the model the op library that it needs.");
  }

  std::vector<Tensor> run_in_pieces(const std::vector<View>& inputs) {
    const std::int64_t rows = inputs.front().shape.empty() ? 0 : inputs.front().shape.front();
    for (const View& input : inputs) {
      if (input.shape.empty() || input.shape.front() != rows) {
        throw Error(DP_INVALID_ARGUMENT, "The inputs have not the same number of rows", "Give them one batch.");
      }
    }
    std::vector<Tensor> results;
    std::int64_t from = 0;
    for (const Sized& piece : pieces(rows)) {
      std::vector<Tensor> outputs = compiled(piece).run(part(inputs, from, piece.batch));
      from += piece.batch;
      if (results.empty()) {
        results = std::move(outputs);
      } else {
        for (std::size_t i = 0; i < results.size(); ++i) append(results[i], outputs[i]);
      }
    }
    return results;
  }

  /// Splits a number of rows into batches, the largest first.
  std::vector<Sized> pieces(std::int64_t rows) const {
    std::vector<Sized> found;
    std::string known;
    for (const Sized& sized : sized_) {
      for (; rows >= sized.batch; rows -= sized.batch) found.push_back(sized);
      known.insert(0, std::to_string(sized.batch) + (known.empty() ? "" : ", "));
    }
    if (rows == 0) return found;
    throw Error(DP_INVALID_ARGUMENT, "The file has signatures for batches of " + known + ", which do not add up",
                "Give a batch that they add up to.");
  }

  CompiledSignature& compiled(const Sized& sized) {
    std::unique_ptr<CompiledSignature>& slot = models_[sized.signature];
    if (!slot) slot = compile(sized.signature);
    return *slot;
  }

  std::unique_ptr<CompiledSignature> compile(std::size_t signature) const {
    try {
      auto made = std::make_unique<CompiledSignature>(opened_->functions, opened_->handle, file_, libraries_, signature,
                                                      threads_);
      check_fit(*made);
      return made;
    } catch (const litert::Failed& failed) {
      complaint_of(libraries_);  // it would be taken for one of another model
      throw Error(DP_RUNTIME_FAILED, file_.name() + " does not load in LiteRT: " + failed.text(),
                  "Give it the op libraries that it needs; LiteRT may have said more on the error output.");
    }
  }

  /// Inputs and outputs of a signature are those of the manifest, in its order.
  void check_fit(const CompiledSignature& made) const {
    std::vector<dp_dtype> dtypes;
    for (const litert::Place& place : made.inputs()) dtypes.push_back(place.dtype);
    if (dtypes == inputs_ && made.outputs().size() == outputs_) return;
    throw Error(DP_RUNTIME_FAILED, file_.name() + " has other inputs or outputs than the manifest",
                "Build the bundle again.");
  }

  std::shared_ptr<const Opened> opened_;
  int threads_;
  std::vector<dp_dtype> inputs_;
  std::size_t outputs_;
  std::vector<litert::OpLibrary> libraries_;
  litert::File file_;
  std::vector<Sized> sized_;
  std::map<std::size_t, std::unique_ptr<CompiledSignature>> models_;  // by the number of the signature
};

class LitertRuntime : public Runtime {
 public:
  explicit LitertRuntime(const Library& library) : opened_(std::make_shared<const Opened>(library)) {}

  std::string version() const override { return ""; }  // LiteRT has no function that tells it

  std::unique_ptr<Session> open(const Artifact& artifact) override {
    try {
      return std::make_unique<LitertSession>(opened_, artifact);
    } catch (const litert::Failed& failed) {
      throw Error(DP_RUNTIME_FAILED, artifact.file.filename().string() + " does not load in LiteRT: " + failed.text(),
                  "Build the bundle again.");
    }
  }

 private:
  std::shared_ptr<const Opened> opened_;
};

std::unique_ptr<Runtime> load(const Artifact& artifact) {
  return std::make_unique<LitertRuntime>(Library::open({
      .runtime = "LiteRT",
      .named = artifact.runtime_library,
      .bundle = artifact.bundle,
      .names = {"libLiteRt.so"},
      .cure = "Install ai-edge-litert (pip), and give its libLiteRt.so as runtime_library.",
  }));
}

}  // namespace

extern const Backend kLitert;
const Backend kLitert = {.name = "litert", .load = load, .portable = false};

}  // namespace dp
