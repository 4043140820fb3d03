// Most inputs and outputs of a node where that is not one, in one place because import asks all operators the same
// question. The counts are the largest of all versions; a required input that is missing is the shape rule's business.

extension BroadcastingOperator {
    public static var maximumInputs: Int { 2 }
}
extension ReductionOperator {
    public static var maximumInputs: Int { 2 }
}
extension Op.BatchNormalization {
    public static var maximumInputs: Int { 5 }
    public static var maximumOutputs: Int { 5 }
}
extension Op.CastLike {
    public static var maximumInputs: Int { 2 }
}
extension Op.Clip {
    public static var maximumInputs: Int { 3 }
}
extension Op.Concat {
    public static var maximumInputs: Int { .max }
}
extension Op.Constant {
    public static var maximumInputs: Int { 0 }
}
extension Op.Conv {
    public static var maximumInputs: Int { 3 }
}
extension Op.ConvTranspose {
    public static var maximumInputs: Int { 3 }
}
extension Op.CumSum {
    public static var maximumInputs: Int { 2 }
}
extension Op.Dropout {
    public static var maximumInputs: Int { 3 }
    public static var maximumOutputs: Int { 2 }
}
extension Op.Expand {
    public static var maximumInputs: Int { 2 }
}
extension Op.Gather {
    public static var maximumInputs: Int { 2 }
}
extension Op.GatherElements {
    public static var maximumInputs: Int { 2 }
}
extension Op.GatherND {
    public static var maximumInputs: Int { 2 }
}
extension Op.Gemm {
    public static var maximumInputs: Int { 3 }
}
extension Op.GroupNormalization {
    public static var maximumInputs: Int { 3 }
}
extension Op.InstanceNormalization {
    public static var maximumInputs: Int { 3 }
}
extension Op.LayerNormalization {
    public static var maximumInputs: Int { 3 }
    public static var maximumOutputs: Int { 3 }
}
extension Op.MatMul {
    public static var maximumInputs: Int { 2 }
}
extension Op.Max {
    public static var maximumInputs: Int { .max }
}
extension Op.MaxPool {
    public static var maximumOutputs: Int { 2 }
}
extension Op.Mean {
    public static var maximumInputs: Int { .max }
}
extension Op.Min {
    public static var maximumInputs: Int { .max }
}
extension Op.NegativeLogLikelihoodLoss {
    public static var maximumInputs: Int { 3 }
}
extension Op.PRelu {
    public static var maximumInputs: Int { 2 }
}
extension Op.Pad {
    public static var maximumInputs: Int { 4 }
}
extension Op.RMSNormalization {
    public static var maximumInputs: Int { 2 }
}
extension Op.Range {
    public static var maximumInputs: Int { 3 }
}
extension Op.Reshape {
    public static var maximumInputs: Int { 2 }
}
extension Op.ScatterElements {
    public static var maximumInputs: Int { 3 }
}
extension Op.Slice {
    public static var maximumInputs: Int { 5 }
}
extension Op.SoftmaxCrossEntropyLoss {
    public static var maximumInputs: Int { 3 }
    public static var maximumOutputs: Int { 2 }
}
extension Op.Split {
    public static var maximumInputs: Int { 2 }
    public static var maximumOutputs: Int { .max }
}
extension Op.Squeeze {
    public static var maximumInputs: Int { 2 }
}
extension Op.Sum {
    public static var maximumInputs: Int { .max }
}
extension Op.Tile {
    public static var maximumInputs: Int { 2 }
}
extension Op.TopK {
    public static var maximumInputs: Int { 2 }
    public static var maximumOutputs: Int { 2 }
}
extension Op.Trilu {
    public static var maximumInputs: Int { 2 }
}
extension Op.Unsqueeze {
    public static var maximumInputs: Int { 2 }
}
extension Op.Where {
    public static var maximumInputs: Int { 3 }
}
