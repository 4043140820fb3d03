/// Whether operations are recorded; task-local, so that it nests, survives throws and `await`, and never leaks into
/// another task.
public enum GradMode {
    /// True outside of every block: operations on tensors that require gradients are recorded.
    @TaskLocal public static var isEnabled = true
}

/// Runs `body` without recording: results have `requiresGrad` false and no `gradFn`. Flags of existing tensors stay.
///
/// Source: `torch.no_grad`.
public func noGrad<R>(_ body: () throws -> R) rethrows -> R {
    try GradMode.$isEnabled.withValue(false, operation: body)
}

/// Runs `body` with recording on, also inside `noGrad`. Source: `torch.enable_grad`.
public func enableGrad<R>(_ body: () throws -> R) rethrows -> R {
    try GradMode.$isEnabled.withValue(true, operation: body)
}

/// Runs `body` with recording on or off. Source: `torch.set_grad_enabled`.
public func setGradEnabled<R>(_ isEnabled: Bool, _ body: () throws -> R) rethrows -> R {
    try GradMode.$isEnabled.withValue(isEnabled, operation: body)
}

/// `noGrad` around asynchronous work.
public func noGrad<R>(
    isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> R
) async rethrows -> R {
    try await GradMode.$isEnabled.withValue(false, operation: body)
}

/// `enableGrad` around asynchronous work.
public func enableGrad<R>(
    isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> R
) async rethrows -> R {
    try await GradMode.$isEnabled.withValue(true, operation: body)
}

/// `setGradEnabled` around asynchronous work.
public func setGradEnabled<R>(
    _ isEnabled: Bool, isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> R
) async rethrows -> R {
    try await GradMode.$isEnabled.withValue(isEnabled, operation: body)
}
