import Autograd
import TensorCore

// What a newcomer writes first, with the operator that is meant. They exist so that the compiler can say it.
extension Tensor {
    @available(*, unavailable, message: "comparisons of tensors are elementwise and begin with a dot: use .>")
    public static func > (a: Tensor, b: Tensor) -> Tensor { mistake("unavailable") }
    @available(*, unavailable, message: "comparisons of tensors are elementwise and begin with a dot: use .>")
    public static func > (a: Tensor, b: some NumberOperand) -> Tensor { mistake("unavailable") }
    @available(*, unavailable, message: "comparisons of tensors are elementwise and begin with a dot: use .>=")
    public static func >= (a: Tensor, b: Tensor) -> Tensor { mistake("unavailable") }
    @available(*, unavailable, message: "comparisons of tensors are elementwise and begin with a dot: use .>=")
    public static func >= (a: Tensor, b: some NumberOperand) -> Tensor { mistake("unavailable") }
    @available(*, unavailable, message: "comparisons of tensors are elementwise and begin with a dot: use .<")
    public static func < (a: Tensor, b: Tensor) -> Tensor { mistake("unavailable") }
    @available(*, unavailable, message: "comparisons of tensors are elementwise and begin with a dot: use .<")
    public static func < (a: Tensor, b: some NumberOperand) -> Tensor { mistake("unavailable") }
    @available(*, unavailable, message: "comparisons of tensors are elementwise and begin with a dot: use .<=")
    public static func <= (a: Tensor, b: Tensor) -> Tensor { mistake("unavailable") }
    @available(*, unavailable, message: "comparisons of tensors are elementwise and begin with a dot: use .<=")
    public static func <= (a: Tensor, b: some NumberOperand) -> Tensor { mistake("unavailable") }
    @available(*, unavailable, message: "use .== elementwise, isEqual(to:) for all elements, === for the same object")
    public static func == (a: Tensor, b: Tensor) -> Tensor { mistake("unavailable") }
    @available(*, unavailable, message: "use .== elementwise, isEqual(to:) for all elements, === for the same object")
    public static func == (a: Tensor, b: some NumberOperand) -> Tensor { mistake("unavailable") }
    @available(*, unavailable, message: "use .!= elementwise, isEqual(to:) for all elements, !== for the same object")
    public static func != (a: Tensor, b: Tensor) -> Tensor { mistake("unavailable") }
    @available(*, unavailable, message: "use .!= elementwise, isEqual(to:) for all elements, !== for the same object")
    public static func != (a: Tensor, b: some NumberOperand) -> Tensor { mistake("unavailable") }
}
