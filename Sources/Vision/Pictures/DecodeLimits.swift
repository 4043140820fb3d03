/// What a picture file may cost before it is refused; a header is checked before anything of its size is allocated.
public struct DecodeLimits: Sendable, Hashable {
    /// Largest width times height. The decoded picture takes at most three bytes for each pixel.
    public var maxPixels: Int
    /// Largest file.
    public var maxFileBytes: Int
    /// Largest number of scans of a progressive JPEG: each scan costs time without adding bytes to the result.
    public var maxScans: Int
    /// Memory a decoder may allocate for itself: progressive JPEGs keep six bytes for each pixel until the last scan.
    public var maxWorkingBytes: Int

    public init(
        maxPixels: Int = 64 << 20, maxFileBytes: Int = 256 << 20, maxScans: Int = 100, maxWorkingBytes: Int = 512 << 20
    ) {
        precondition(
            maxPixels > 0 && maxFileBytes > 0 && maxScans > 0 && maxWorkingBytes > 0, "limits must be positive")
        self.maxPixels = maxPixels
        self.maxFileBytes = maxFileBytes
        self.maxScans = maxScans
        self.maxWorkingBytes = maxWorkingBytes
    }
}
