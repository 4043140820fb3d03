import CKernels

extension NDArray {
    /// The elements in another type; the array itself when it has that type already. ONNX Cast.
    ///
    /// Floats become integers by truncation towards zero, saturating, NaN 0; integers wrap; `bool` is x ≠ 0;
    /// 16-bit floats round to nearest, ties to even.
    public func converted(to target: DType) -> NDArray {
        if target == dtype { return self }
        return NDArray.produce(shape, target) { output in
            read { input in
                parallelRange(count, grain: serialElements) { begin, end in
                    ft_cast(
                        dtype.kernel, target.kernel, input + begin * dtype.size, output + begin * target.size,
                        end - begin)
                }
            }
        }
    }
}
