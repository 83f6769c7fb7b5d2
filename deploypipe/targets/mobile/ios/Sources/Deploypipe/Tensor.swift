import CDeploypipe
import Foundation

/// Element types, with their numbers in deploypipe.h.
public enum DType: UInt32, Sendable {
    case float32 = 1, float64, int8, uint8, int32, int64, bool

    /// Bytes of one element.
    public var bytes: Int {
        switch self {
        case .float64, .int64: return 8
        case .float32, .int32: return 4
        case .int8, .uint8, .bool: return 1
        }
    }
}

/// A dense row-major tensor.
public struct Tensor: Sendable {
    public let dtype: DType
    /// Its sizes, the outermost first.
    public let shape: [Int64]
    /// Its bytes, in the order of this machine.
    public let data: Data

    /// Throws where the shape does not have as many bytes as the data.
    public init(dtype: DType, shape: [Int64], data: Data) throws {
        var size = dtype.bytes
        for extent in shape {
            let (product, overflow) = size.multipliedReportingOverflow(by: Int(extent))
            guard extent >= 0, !overflow else { throw DeployError(.invalidArgument, "\(shape) is no shape") }
            size = product
        }
        guard size == data.count, shape.count <= Int(DP_MAX_RANK) else {
            throw DeployError(.invalidArgument, "\(data.count) bytes do not make a tensor of shape \(shape)")
        }
        self.dtype = dtype
        self.shape = shape
        self.data = data
    }

    /// A tensor of float32 values.
    public init(_ values: [Float], shape: [Int64]) throws {
        try self.init(dtype: .float32, shape: shape, data: values.withUnsafeBytes { Data($0) })
    }

    /// Copies a tensor of C.
    init(_ tensor: dp_tensor) throws {
        guard let dtype = DType(rawValue: UInt32(tensor.dtype.rawValue)) else {
            throw DeployError(.unsupported, "A tensor has an unknown dtype")
        }
        let shape = withUnsafeBytes(of: tensor.shape) { Array($0.bindMemory(to: Int64.self).prefix(Int(tensor.rank))) }
        let size = shape.reduce(dtype.bytes) { $0 * Int($1) }
        let data = size == 0 ? Data() : Data(bytes: tensor.data, count: size)
        try self.init(dtype: dtype, shape: shape, data: data)
    }

    /// The values of a float32 tensor.
    public var floats: [Float] {
        precondition(dtype == .float32)
        return data.withUnsafeBytes { bytes in
            (0 ..< bytes.count / 4).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
        }
    }

    /// The tensor as C takes it, for as long as the memory at `address` lives.
    func borrowed(at address: UnsafeRawPointer?) -> dp_tensor {
        var tensor = dp_tensor()
        tensor.dtype = dp_dtype(rawValue: dtype.rawValue)
        tensor.rank = Int32(shape.count)
        withUnsafeMutableBytes(of: &tensor.shape) { target in
            for (index, extent) in shape.enumerated() {
                target.storeBytes(of: extent, toByteOffset: 8 * index, as: Int64.self)
            }
        }
        tensor.data = address
        return tensor
    }
}

/// An image: rows from the top, pixels from the left, 1 (gray), 3 (RGB) or 4 (RGBA) bytes each.
public struct Image: Sendable {
    public let pixels: Data
    public let width: Int
    public let height: Int
    public let channels: Int

    /// Throws where there are not as many bytes as the sizes say.
    public init(pixels: Data, width: Int, height: Int, channels: Int) throws {
        guard (1 ... 16384).contains(width), (1 ... 16384).contains(height), [1, 3, 4].contains(channels),
              pixels.count == width * height * channels
        else { throw DeployError(.invalidArgument, "\(pixels.count) bytes are no image of \(width) x \(height)") }
        self.pixels = pixels
        self.width = width
        self.height = height
        self.channels = channels
    }
}

/// One class of an output.
public struct Classified: Sendable {
    public let label: String
    public let probability: Double
}
