import CDeploypipe

/// What is wrong, and what to do about it.
public struct DeployError: Error, CustomStringConvertible, Sendable {
    public enum Status: UInt32, Sendable {
        case invalidArgument = 1, badBundle, unsupported, noRuntime, runtimeFailed, outOfMemory, other
    }

    public let status: Status
    public let message: String
    /// One sentence, or "".
    public let cure: String

    public var description: String { cure.isEmpty ? message : "\(message). \(cure)" }

    init(_ status: Status, _ message: String, _ cure: String = "") {
        self.status = status
        self.message = message
        self.cure = cure
    }

    /// Calls a function of the C API, and throws what it has written into its `dp_error`.
    static func check(_ call: (UnsafeMutablePointer<dp_error>) -> dp_status) throws {
        var error = dp_error()
        let status = call(&error)
        guard status != DP_OK else { return }
        throw DeployError(Status(rawValue: UInt32(status.rawValue)) ?? .other, text(error.message), text(error.cure))
    }

    /// An array of C, which Swift sees as a tuple.
    private static func text<Characters>(_ characters: Characters) -> String {
        withUnsafeBytes(of: characters) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
}
