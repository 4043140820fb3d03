import CPicture
import Foundation
import Vision

extension Picture {
    /// The picture inside a page: `data:image/png;base64,...`, or a JPEG where that is much smaller.
    ///
    /// Small and grey pictures stay PNG, whose pixels are exact. Throws `PictureError` when memory runs out.
    public func dataURI() throws(PictureError) -> String {
        let isPhotograph = channels == 3 && width * height > 64 * 64
        let bytes = isPhotograph ? try jpegData() : try pngData(compression: 9)
        return "data:image/\(isPhotograph ? "jpeg" : "png");base64," + Data(bytes).base64EncodedString()
    }
}
