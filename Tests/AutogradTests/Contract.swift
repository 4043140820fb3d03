import Testing

/// The contract of autograd, a test for each of its rows. One after another: some rows measure the process's memory.
@Suite(.serialized) enum AutogradContract {}
