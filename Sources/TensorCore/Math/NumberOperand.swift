import CKernels

extension NDArray {
    /// f(a, number), element by element, with the number in the array's type.
    public static func binary(_ function: BinaryFunction, _ a: NDArray, _ number: Double) throws -> NDArray {
        func run<T: FloatingScalar>(_ number: T) -> NDArray {
            let kernel = ft_binary_function(rawValue: UInt32(function.rawValue))
            let (dtype, size) = (a.dtype.kernel, a.dtype.size)
            return withUnsafePointer(to: number) { number in
                produce(a.shape, a.dtype) { output in
                    a.read { input in
                        parallelRange(a.count, grain: serialElements) { begin, end in
                            _ = ft_binary(
                                dtype, kernel, FT_SECOND_SCALAR, input + begin * size, number, output + begin * size,
                                end - begin)
                        }
                    }
                }
            }
        }
        switch a.dtype {
        case .float32: return run(Float(number))
        case .float64: return run(number)
        default: return try binary(function, a, NDArray(scalar: number, dtype: a.dtype))
        }
    }
}
