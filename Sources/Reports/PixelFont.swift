import Foundation

/// Letters of five by seven pixels, two rows below the line: enough to name what a picture shows.
enum PixelFont {
    /// Rows of a letter.
    static let height = 9

    /// The columns of a line of text, the top row in the lowest bit, one empty column between letters.
    static func columns(of text: String) -> [UInt16] {
        let latin = text.applyingTransform(.toLatin, reverse: false) ?? text
        let plain = latin.applyingTransform(.stripDiacritics, reverse: false) ?? latin
        var columns: [UInt16] = []
        for scalar in plain.unicodeScalars {
            if scalar == " " {
                columns += [0, 0, 0]
                continue
            }
            let index = Int(scalar.value) - 0x21
            columns += (letters.indices.contains(index) ? letters[index] : unknown) + [0]
        }
        return Array(columns.dropLast())
    }

    /// What stands for a letter that has no likeness in ASCII.
    private static let unknown: [UInt16] = [0x7f, 0x41, 0x41, 0x7f]

    /// The columns of each letter from `!` to `~`.
    private static let letters: [[UInt16]] = table.split(whereSeparator: \.isWhitespace).map { letter in
        letter.split(separator: ".").compactMap { UInt16($0, radix: 16) }
    }

    /// Columns in hexadecimal with points between, letters in the order of ASCII.
    private static let table = """
        5f 3.0.3 14.7f.14.7f.14 24.2a.7f.2a.12 23.13.8.64.62 36.49.56.20.50 3 1c.22.41 41.22.1c 2a.1c.3e.1c.2a
        8.8.3e.8.8 80.60 8.8.8.8 60.60 40.30.8.6.1 3e.51.49.45.3e 42.7f.40 42.61.51.49.46 22.41.49.49.36
        18.14.12.7f.10 27.45.45.45.39 3c.4a.49.49.30 1.71.9.5.3 36.49.49.49.36 6.49.49.29.1e 36.36 80.76 8.14.22.41
        14.14.14.14 41.22.14.8 2.1.51.9.6 3e.41.5d.55.1e 7c.12.11.12.7c 7f.49.49.49.36 3e.41.41.41.22 7f.41.41.22.1c
        7f.49.49.49.41 7f.9.9.9.1 3e.41.49.49.3a 7f.8.8.8.7f 41.7f.41 20.40.41.3f 7f.8.14.22.41 7f.40.40.40.40
        7f.2.c.2.7f 7f.4.8.10.7f 3e.41.41.41.3e 7f.9.9.9.6 3e.41.51.21.5e 7f.9.19.29.46 26.49.49.49.32 1.1.7f.1.1
        3f.40.40.40.3f 1f.20.40.20.1f 3f.40.38.40.3f 63.14.8.14.63 7.8.70.8.7 61.51.49.45.43 7f.41 1.6.8.30.40 41.7f
        4.2.1.2.4 80.80.80.80.80 1.2 20.54.54.54.78 7f.44.44.44.38 38.44.44.44.28 38.44.44.44.7f 38.54.54.54.18
        8.7e.9.2 38.144.144.144.fc 7f.4.4.4.78 7d 100.fd 7f.10.28.44 3f.40 7c.4.78.4.78 7c.4.4.4.78 38.44.44.44.38
        1fc.44.44.44.38 38.44.44.44.1fc 7c.8.4.4 48.54.54.54.24 4.3f.44.44 3c.40.40.40.7c 1c.20.40.20.1c
        3c.40.30.40.3c 44.28.10.28.44 3c.140.140.140.fc 44.64.54.4c.44 8.36.41 7f 41.36.8 8.4.8.10.8
        """
}
