import CDeploypipe
import Foundation

/// A bundle that is open: it verifies itself, it runs, and it is closed when nobody holds it any more.
/// Threads may share it.
///
///     let model = try Model.open(Model.bundle)
///     guard try model.verify().passed else { ... }
///     let results = try model.runImage(image)
///     print(try model.classes(results)[0].label)
public final class Model: @unchecked Sendable {
    private let model: OpaquePointer

    private init(_ model: OpaquePointer) { self.model = model }

    deinit { dp_close(model) }

    /// The bundle that came with this package.
    public static var bundle: URL { Bundle.module.url(forResource: "model.dpb", withExtension: "zip")! }

    /// The version of the C library.
    public static var version: String { String(cString: dp_version()) }

    /// Checks every file of a bundle against its manifest, then loads it into its runtime.
    ///
    /// - Parameters:
    ///   - bundle: A folder, or a zip of one.
    ///   - runtimeLibrary: File of the runtime's library; by default the framework that the app embeds.
    ///   - threads: Threads of one run.
    ///   - withoutOpLibraries: Its op libraries stay unused. Those that are built for Linux do not load on iOS.
    public static func open(
        _ bundle: URL, runtimeLibrary: URL? = onnxruntime, threads: Int = 1, withoutOpLibraries: Bool = true
    ) throws -> Model {
        var model: OpaquePointer?
        try withPaths(runtimeLibrary?.path, NSTemporaryDirectory()) { library, folder in
            var options = dp_options()
            options.size = MemoryLayout<dp_options>.size
            options.runtime_library = library
            options.temporary_folder = folder
            options.threads = Int32(threads)
            options.without_op_libraries = withoutOpLibraries ? 1 : 0
            try DeployError.check { dp_open(bundle.path, &options, &model, $0) }
        }
        return Model(model!)
    }

    /// The dynamic framework of ONNX Runtime in the app.
    public static var onnxruntime: URL? {
        Bundle.main.privateFrameworksURL?.appendingPathComponent("onnxruntime.framework/onnxruntime")
    }

    /// The text of manifest.json.
    public var manifest: String { String(cString: dp_manifest(model)) }

    /// The version of the runtime that was loaded, or "".
    public var runtimeVersion: String { String(cString: dp_runtime_version(model)) }

    /// Runs the golden vectors on this very device and judges the outputs by the limits in the manifest.
    public func verify() throws -> Verdict {
        var verdict: OpaquePointer?
        try DeployError.check { dp_verify(model, &verdict, $0) }
        defer { dp_verdict_free(verdict) }
        return try Verdict(json: String(cString: dp_verdict_json(verdict)))
    }

    /// Runs the model once on inputs in the order of its inputs.
    public func run(_ inputs: [Tensor]) throws -> Results {
        let data = inputs.map { $0.data as NSData }
        let tensors = zip(inputs, data).map { $0.borrowed(at: $1.bytes) }
        return try withExtendedLifetime(data) {
            try Results { dp_run(model, tensors, tensors.count, $0, $1) }
        }
    }

    /// Prepares an image as the manifest says and runs the model on it.
    public func runImage(_ image: Image) throws -> Results {
        try image.pixels.withUnsafeBytes { bytes in
            var borrowed = dp_image()
            borrowed.pixels = bytes.bindMemory(to: UInt8.self).baseAddress
            borrowed.width = Int32(image.width)
            borrowed.height = Int32(image.height)
            borrowed.channels = Int32(image.channels)
            return try Results { dp_run_image(model, &borrowed, $0, $1) }
        }
    }

    /// The classes of one row of an output, the most probable first.
    public func classes(_ results: Results, output: Int = 0, row: Int64 = 0) throws -> [Classified] {
        var count = Int(try results[output].shape.last ?? 0)
        var classes = [dp_class](repeating: dp_class(), count: count)
        try DeployError.check { dp_classes(model, results.pointer, output, row, &classes, &count, $0) }
        return classes.prefix(count).map { Classified(label: String(cString: $0.label), probability: $0.probability) }
    }

    private static func withPaths(
        _ library: String?, _ folder: String, _ action: (UnsafePointer<CChar>?, UnsafePointer<CChar>) throws -> Void
    ) rethrows {
        try folder.withCString { folder in
            guard let library else { return try action(nil, folder) }
            try library.withCString { try action($0, folder) }
        }
    }
}

/// What a run gave.
public final class Results: @unchecked Sendable {
    let pointer: OpaquePointer

    init(_ call: (UnsafeMutablePointer<OpaquePointer?>, UnsafeMutablePointer<dp_error>) -> dp_status) throws {
        var results: OpaquePointer?
        try DeployError.check { call(&results, $0) }
        pointer = results!
    }

    deinit { dp_results_free(pointer) }

    /// How many outputs there are.
    public var count: Int { dp_results_count(pointer) }

    /// A copy of an output.
    public subscript(index: Int) -> Tensor {
        get throws {
            guard index >= 0, let tensor = dp_results_tensor(pointer, index) else {
                throw DeployError(.invalidArgument, "There is no output \(index)")
            }
            return try Tensor(tensor.pointee)
        }
    }
}

/// What verification found.
public struct Verdict: Sendable {
    /// Every comparison kept its limit.
    public let passed: Bool
    /// One sentence for each that did not.
    public let failures: [String]
    /// All of it, as the manifest has it: {"passed", "checks", "failures"}.
    public let json: String

    private struct Table: Decodable {
        let passed: Bool
        let failures: [String]
    }

    init(json: String) throws {
        let table = try JSONDecoder().decode(Table.self, from: Data(json.utf8))
        (passed, failures, self.json) = (table.passed, table.failures, json)
    }
}
