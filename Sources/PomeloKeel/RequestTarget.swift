// SPDX-License-Identifier: MIT
#if Keel
    import PomeloBytes

    /// What a request asks for: the path and the query.
    ///
    /// - Source: RFC 9112, 3.2; RFC 3986, 3.3 and 3.4.
    enum RequestTarget {
        /// The path and query of the target in a request's first line; nil when it has none.
        static func path(of target: String) -> String? {
            if target.utf8.first == UInt8(ascii: "/") { return target }
            // The absolute form, which is sent to proxies.
            guard target.prefix(7).lowercased() == "http://" else { return nil }
            let rest = target.dropFirst(7)
            guard let end = rest.firstIndex(where: { $0 == "/" || $0 == "?" }) else { return "/" }
            return rest[end] == "/" ? String(rest[end...]) : "/" + rest[end...]
        }

        /// A path and query of which every byte may stand in a URL: those that may not are escaped, what is escaped
        /// already stays as it is.
        static func escaped(_ path: String) -> String {
            let bytes = Bytes(path.utf8)
            if bytes.allSatisfy(isAllowed) { return path }
            var text: Bytes = []
            text.reserveCapacity(bytes.count + 16)
            for (index, byte) in bytes.enumerated() {
                if isAllowed(byte) || byte == percent && isEscape(bytes, index) {
                    text.append(byte)
                } else {
                    text += [percent, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
                }
            }
            return String(decoding: text, as: UTF8.self)
        }

        private static let percent = UInt8(ascii: "%")
        private static let digits = Bytes("0123456789ABCDEF".utf8)
        private static let allowedMarks = Bytes("-._~!$&'()*+,;=:@/?".utf8)

        private static func isAllowed(_ byte: UInt8) -> Bool {
            byte >= UInt8(ascii: "a") && byte <= UInt8(ascii: "z")
                || byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z")
                || byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") || allowedMarks.contains(byte)
        }

        private static func isEscape(_ bytes: Bytes, _ index: Int) -> Bool {
            index + 2 < bytes.count && isHex(bytes[index + 1]) && isHex(bytes[index + 2])
        }

        private static func isHex(_ byte: UInt8) -> Bool {
            byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
                || byte | 0x20 >= UInt8(ascii: "a") && byte | 0x20 <= UInt8(ascii: "f") && byte >= 0x41
        }
    }
#endif
