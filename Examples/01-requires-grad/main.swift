// What `requiresGrad` does, one property at a time.
import FineTune

func show(_ text: String, _ value: Any?) { print(text, value.map { "\($0)" } ?? "nil") }

// A tensor tracks nothing by default.
let tensor = Tensor([
    [3, 4],
    [7, 5],
])
print(tensor)
show("requiresGrad:", tensor.requiresGrad)

// requiresGrad_() sets the flag in place and returns the same tensor.
print(try tensor.requiresGrad_())
show("requiresGrad:", tensor.requiresGrad)

// There are no gradients yet, and no operation that made the tensor.
show("grad:", tensor.grad)
show("gradFn:", tensor.gradFn)

// The result of an operation derives the flag. It has no gradient either, but it knows the operation.
var out = tensor * tensor
show("out.requiresGrad:", out.requiresGrad)
show("out.grad:", out.grad)
show("out.gradFn:", out.gradFn)
show("gradFn of the original:", tensor.gradFn)

// gradFn names only the last operation; the others lie behind it.
out = (tensor * tensor).mean()
print(out)
show("out.gradFn:", out.gradFn)
show("behind it:", out.gradFn?.nextFunctions.first ?? nil)

// Gradients appear when we ask for them: d mean(t²) / dt = 2t / 4.
show("before backward:", tensor.grad)
try out.backward()
show("after backward:", tensor.grad)

// The graph is freed by that, so a second pass says what to do.
do {
    try out.backward()
} catch {
    print("error:", error)
}

// The flag propagates to every new tensor...
show("newTensor.requiresGrad:", (tensor * tensor).requiresGrad)

// ...except inside noGrad, which leaves existing tensors as they are.
noGrad {
    let newTensor = tensor * tensor
    print("newTensor =", newTensor)
    show("requiresGrad of tensor:", tensor.requiresGrad)
    show("requiresGrad of newTensor:", newTensor.requiresGrad)
}
