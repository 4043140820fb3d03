import Vision

extension LoadedModel {
    /// How pictures are prepared when the model's metadata does not say, or says otherwise.
    public struct Overrides: Sendable {
        public var imageSize: Int?
        public var resize: Int?
        /// A preset of `Normalization` or `MEAN/STD` numbers.
        public var normalize: String?
        public var channels: Normalization.ChannelOrder?
        public var fit: Transform.Fit?
        public var interpolation: PictureInterpolation?
        public var exif: ExifPolicy?
        /// The output, or another value, that classes are decided by.
        public var outputName: String?

        public init(
            imageSize: Int? = nil, resize: Int? = nil, normalize: String? = nil,
            channels: Normalization.ChannelOrder? = nil, fit: Transform.Fit? = nil,
            interpolation: PictureInterpolation? = nil, exif: ExifPolicy? = nil, outputName: String? = nil
        ) {
            self.imageSize = imageSize
            self.resize = resize
            self.normalize = normalize
            self.channels = channels
            self.fit = fit
            self.interpolation = interpolation
            self.exif = exif
            self.outputName = outputName
        }

        /// What was asked for, else what the model's metadata says, else the usual for its channels.
        ///
        /// A preset for blue first brings its order; other numbers leave the model's as it is.
        func normalization(_ known: Preprocessing?, channels count: Int) throws -> Normalization {
            let asked = try normalize.map(RunSettings.parseNormalization)
            let value = try asked ?? known?.normalization() ?? (count == 3 ? .imagenet : .none)
            guard value.fits(channels: count) else {
                throw SettingError("--normalize", "\(value.mean.count) values for a model of \(count) channel(s)")
            }
            let order = channels ?? (asked?.order == .bgr ? .bgr : known?.order ?? value.order)
            guard order == .rgb || count == 3 else {
                let option = channels == nil ? "--normalize" : "--channels"
                throw SettingError(option, "bgr is for models of colour pictures; this one takes \(count) channel(s)")
            }
            return value.with(order: order)
        }

        /// How pictures of `imageSize` are prepared for a model of whose file `known` is told.
        func preprocessing(
            _ known: Preprocessing?, channels count: Int, imageSize side: Int
        ) throws -> Preprocessing {
            // The file's size belongs to the file's way of fitting.
            let told = imageSize == nil && (fit == nil || fit == known?.fit) ? known?.resize : nil
            return Preprocessing(
                channels: count, imageSize: side, resize: resize ?? told,
                normalization: try normalization(known, channels: count), fit: fit ?? known?.fit ?? .crop,
                interpolation: interpolation ?? known?.interpolation ?? .bilinear, exif: exif ?? known?.exif ?? .ignore,
                augment: known?.augment)
        }
    }
}

extension RunSettings {
    /// What the settings say of pictures.
    public var pictures: LoadedModel.Overrides {
        get {
            LoadedModel.Overrides(
                imageSize: imageSize, resize: resize, normalize: normalize, channels: channels, fit: resizeMode,
                interpolation: interpolation, exif: exif, outputName: outputName)
        }
        set {
            imageSize = newValue.imageSize
            resize = newValue.resize
            normalize = newValue.normalize
            channels = newValue.channels
            resizeMode = newValue.fit
            interpolation = newValue.interpolation
            exif = newValue.exif
            outputName = newValue.outputName
        }
    }
}
