import CKernels

/// Windows of a pooling over the spatial axes of `[N, C, ...]`; ONNX's attributes.
public struct PoolGeometry: Sendable, Hashable {
    public var kernelShape: [Int]
    public var strides: [Int]
    public var padsBegin: [Int]
    public var padsEnd: [Int]
    public var dilations: [Int]
    /// Rounds the number of windows up; a window that would begin in the padding at the end is dropped.
    public var ceilMode: Bool
    /// Average only: padding counts as elements.
    public var countIncludePad: Bool
    /// Max only: 1 numbers the indices of ONNX's second output in column-major order.
    public var storageOrder: Int

    public init(
        kernelShape: [Int], strides: [Int]? = nil, padsBegin: [Int]? = nil, padsEnd: [Int]? = nil,
        dilations: [Int]? = nil, ceilMode: Bool = false, countIncludePad: Bool = false, storageOrder: Int = 0
    ) {
        func each(_ value: Int) -> [Int] { [Int](repeating: value, count: kernelShape.count) }
        self.kernelShape = kernelShape
        self.strides = strides ?? each(1)
        self.padsBegin = padsBegin ?? each(0)
        self.padsEnd = padsEnd ?? each(0)
        self.dilations = dilations ?? each(1)
        self.ceilMode = ceilMode
        self.countIncludePad = countIncludePad
        self.storageOrder = storageOrder
    }

    /// `[N, C, ...]` of the pooled array: floor or ceil of (size + pads - extent) / stride, plus 1.
    public func outputShape(_ input: [Int]) throws -> [Int] {
        let lists = [kernelShape, strides, padsBegin, padsEnd, dilations]
        guard (1...3).contains(kernelShape.count), lists.allSatisfy({ $0.count == kernelShape.count }) else {
            throw ShapeError("Pool", "expected 1 to 3 spatial axes with one number each, got kernel \(kernelShape)")
        }
        guard input.count == kernelShape.count + 2 else {
            throw ShapeError("Pool", "expected \(kernelShape.count + 2) axes for kernel \(kernelShape), got \(input)")
        }
        let limit = 1 << 31
        guard (kernelShape + strides + dilations).allSatisfy({ $0 > 0 && $0 < limit }),
            (padsBegin + padsEnd + input).allSatisfy({ $0 >= 0 && $0 < limit })
        else {
            throw ShapeError(
                "Pool",
                "expected positive kernel, strides and dilations and pads of at least 0, all below 2^31, got "
                    + "\(kernelShape), \(strides), \(dilations), \(padsBegin), \(padsEnd) for \(input)")
        }
        return try input.prefix(2)
            + kernelShape.indices.map { axis in
                let size = input[axis + 2]
                let room = size + padsBegin[axis] + padsEnd[axis] - ((kernelShape[axis] - 1) * dilations[axis] + 1)
                let slack = ceilMode ? strides[axis] - 1 : 0
                guard room + slack >= 0 else {
                    throw ShapeError("Pool", "kernel \(kernelShape) is larger than the padded input \(input)")
                }
                var windows = (room + slack) / strides[axis] + 1
                if ceilMode && (windows - 1) * strides[axis] >= size + padsBegin[axis] { windows -= 1 }
                return windows
            }
    }

    /// Elements of a window.
    fileprivate var windowSize: Int { kernelShape.reduce(1, saturatingProduct) }

    /// The windows for C; `outputShape` has been checked.
    fileprivate func kernelGeometry(_ input: [Int], _ output: [Int]) -> ft_pool_geometry {
        func triple(_ values: some Sequence<Int>, _ filler: Int) -> (Int, Int, Int) {
            let all = [Int](repeating: filler, count: 3 - kernelShape.count) + values
            return (all[0], all[1], all[2])
        }
        return ft_pool_geometry(
            input: triple(input.dropFirst(2), 1), output: triple(output.dropFirst(2), 1),
            kernel: triple(kernelShape, 1), stride: triple(strides, 1), pad_begin: triple(padsBegin, 0),
            pad_end: triple(padsEnd, 0), dilation: triple(dilations, 1), count_include_pad: countIncludePad)
    }
}

extension NDArray {
    /// Largest element of each window. x: `[N, C, ...]`, one to three spatial axes. ONNX MaxPool, `torch.max_pool2d`.
    ///
    /// A NaN in a window is its maximum. With `wantsIndices` the second result holds, as `int32`, the row-major position
    /// of each maximum within its plane, -1 for a window that lies in the padding: what `maxPoolGradient`,
    /// `gatherByPoolIndices` and `onnxPoolIndices` take.
    public func maxPooled(
        _ geometry: PoolGeometry, wantsIndices: Bool = false
    ) throws -> (output: NDArray, indices: NDArray?) {
        let target = try geometry.outputShape(shape)
        if dtype == .int8 || dtype == .uint8 || dtype.isHalf {
            let (output, indices) = try converted(to: .float32).maxPooled(geometry, wantsIndices: wantsIndices)
            return (output.converted(to: dtype), indices)
        }
        try requireFloat(self, "MaxPool")
        guard !wantsIndices || product(shape.dropFirst(2)) <= Int(Int32.max) else {
            throw ShapeError("MaxPool", "planes of \(shape) are too large to number their elements")
        }
        let positions = try wantsIndices ? NDArray(result: target, .int32, "MaxPool") : nil
        var windows = geometry.kernelGeometry(shape, target)
        let output = try NDArray.produce(target, dtype, "MaxPool") { output in
            guard !target.contains(0) else { return }
            let places = positions?.storage.pointer.assumingMemoryBound(to: Int32.self)
            read { x in
                withUnsafePointer(to: &windows) { windows in
                    let planes = shape[0] * shape[1]
                    let work = saturatingProduct(product(target.dropFirst(2)), geometry.windowSize)
                    parallelRange(planes, grain: grain(elementsPerUnit: work)) { begin, end in
                        if dtype == .float32 {
                            ft_max_pool_f32(windows, x.floats, output.floats, places, begin, end)
                        } else {
                            ft_max_pool_f64(windows, x.doubles, output.doubles, places, begin, end)
                        }
                    }
                }
            }
        }
        return (output, positions)
    }

    /// The adjoint of reading at the maxima: zeros of `inputShape` with `gradOutput` added at `indices`.
    ///
    /// - Throws: `ShapeError` for shapes that do not fit and for positions outside of a plane.
    public static func maxPoolGradient(
        _ gradOutput: NDArray, indices: NDArray, inputShape: [Int]
    ) throws -> NDArray {
        let planes = try PoolPlanes(indices, inputShape, "MaxPool gradient")
        guard gradOutput.shape == indices.shape else {
            throw ShapeError("MaxPool gradient", "expected shape \(indices.shape), got \(gradOutput.shape)")
        }
        if gradOutput.dtype.isHalf {
            return try gradOutput.throughFloat32 { try maxPoolGradient($0, indices: indices, inputShape: inputShape) }
        }
        try requireFloat(gradOutput, "MaxPool gradient")
        return try planes.produce(inputShape, gradOutput) { places, g, output, stray, begin, end in
            if gradOutput.dtype == .float32 {
                ft_max_pool_gradient_f32(
                    planes.inputs, planes.outputs, places, g.floats, output.floats, stray, begin, end)
            } else {
                ft_max_pool_gradient_f64(
                    planes.inputs, planes.outputs, places, g.doubles, output.doubles, stray, begin, end)
            }
        }
    }

    /// The elements at the positions that `maxPooled` gave for an array of this shape; 0 at -1.
    ///
    /// - Throws: `ShapeError` for shapes that do not fit and for positions outside of a plane.
    public func gatherByPoolIndices(_ indices: NDArray) throws -> NDArray {
        let planes = try PoolPlanes(indices, shape, "MaxPool indices")
        if dtype.isHalf { return try throughFloat32 { try $0.gatherByPoolIndices(indices) } }
        try requireFloat(self, "MaxPool indices")
        return try planes.produce(indices.shape, self) { places, x, output, stray, begin, end in
            if dtype == .float32 {
                ft_max_pool_gather_f32(
                    planes.inputs, planes.outputs, places, x.floats, output.floats, stray, begin, end)
            } else {
                ft_max_pool_gather_f64(
                    planes.inputs, planes.outputs, places, x.doubles, output.doubles, stray, begin, end)
            }
        }
    }

    /// `indices` of `maxPooled` as ONNX numbers them, in `int64`: through all planes, with `storageOrder` 1 in
    /// column-major order within a plane.
    public static func onnxPoolIndices(_ indices: NDArray, inputShape: [Int], storageOrder: Int = 0) throws -> NDArray {
        let planes = try PoolPlanes(indices, inputShape, "MaxPool indices")
        try requireAllocatable(indices.shape, .int64, "MaxPool indices")
        let spatial = Array(inputShape.dropFirst(2))
        let positions = indices.elements(as: Int32.self).enumerated().map { index, place -> Int64 in
            guard place >= 0 else { return -1 }
            var position = Int(place)
            if storageOrder == 1 {
                var (rest, stride) = (position, planes.inputs)
                position = 0
                // Reads the digits from the last axis on and writes them from the first.
                for size in spatial.reversed() {
                    stride /= size
                    position += rest % size * stride
                    rest /= size
                }
            }
            return Int64(index / planes.outputs * planes.inputs + position)
        }
        return NDArray(positions, shape: indices.shape)
    }

    /// Mean of each window. x: `[N, C, ...]`, one to three spatial axes. ONNX AveragePool, `torch.avg_pool2d`.
    public func averagePooled(_ geometry: PoolGeometry) throws -> NDArray {
        let target = try geometry.outputShape(shape)
        if dtype.isHalf { return try throughFloat32 { try $0.averagePooled(geometry) } }
        try requireFloat(self, "AveragePool")
        var windows = geometry.kernelGeometry(shape, target)
        return try NDArray.produce(target, dtype, "AveragePool") { output in
            guard !target.contains(0) else { return }
            read { x in
                withUnsafePointer(to: &windows) { windows in
                    let work = saturatingProduct(product(target.dropFirst(2)), geometry.windowSize)
                    parallelRange(shape[0] * shape[1], grain: grain(elementsPerUnit: work)) { begin, end in
                        if dtype == .float32 {
                            ft_average_pool_f32(windows, x.floats, output.floats, begin, end)
                        } else {
                            ft_average_pool_f64(windows, x.doubles, output.doubles, begin, end)
                        }
                    }
                }
            }
        }
    }

    /// The adjoint of `averagePooled` for an input of `inputShape`.
    public static func averagePoolGradient(
        _ gradOutput: NDArray, inputShape: [Int], _ geometry: PoolGeometry
    ) throws -> NDArray {
        try requireFloat(gradOutput, "AveragePool gradient")
        let expected = try geometry.outputShape(inputShape)
        guard gradOutput.shape == expected else {
            throw ShapeError("AveragePool gradient", "expected shape \(expected), got \(gradOutput.shape)")
        }
        var windows = geometry.kernelGeometry(inputShape, expected)
        return try produce(inputShape, gradOutput.dtype, "AveragePool gradient") { output in
            guard !inputShape.contains(0) else { return }
            gradOutput.read { g in
                withUnsafePointer(to: &windows) { windows in
                    let work = saturatingProduct(product(expected.dropFirst(2)), geometry.windowSize)
                    let planes = inputShape[0] * inputShape[1]
                    parallelRange(planes, grain: grain(elementsPerUnit: work)) { begin, end in
                        if gradOutput.dtype == .float32 {
                            ft_average_pool_gradient_f32(windows, g.floats, output.floats, begin, end)
                        } else {
                            ft_average_pool_gradient_f64(windows, g.doubles, output.doubles, begin, end)
                        }
                    }
                }
            }
        }
    }
}

/// Positions of maxima, `[N, C, ...]` of `int32`, in an array of the same N and C.
private struct PoolPlanes {
    let indices: NDArray
    let operation: String
    /// Elements of one plane of the input, and of the output.
    let inputs: Int
    let outputs: Int

    init(_ indices: NDArray, _ inputShape: [Int], _ operation: String) throws {
        guard indices.dtype == .int32, indices.rank == inputShape.count, indices.rank >= 3,
            indices.shape.prefix(2) == inputShape.prefix(2)
        else {
            throw ShapeError(operation, "indices \(indices.shape) of \(indices.dtype) do not fit \(inputShape)")
        }
        self.indices = indices
        self.operation = operation
        inputs = product(inputShape.dropFirst(2))
        outputs = product(indices.shape.dropFirst(2))
    }

    /// A new array of `shape` that `kernel(indices, source, output, stray, begin, end)` writes plane by plane.
    func produce(
        _ shape: [Int], _ source: NDArray,
        _ kernel: (
            UnsafePointer<Int32>, UnsafeRawPointer, UnsafeMutableRawPointer, UnsafeMutablePointer<Int32>, Int, Int
        ) -> Void
    ) throws -> NDArray {
        var stray: Int32 = 0
        let result = try NDArray.produce(shape, source.dtype, operation) { output in
            indices.read { places in
                source.read { source in
                    withUnsafeMutablePointer(to: &stray) { stray in
                        let places = places.assumingMemoryBound(to: Int32.self)
                        parallelRange(shape[0] * shape[1], grain: grain(elementsPerUnit: inputs)) { begin, end in
                            kernel(places, source, output, stray, begin, end)
                        }
                    }
                }
            }
        }
        guard stray == 0 else { throw ShapeError(operation, "a position is outside of its plane of \(inputs)") }
        return result
    }
}
