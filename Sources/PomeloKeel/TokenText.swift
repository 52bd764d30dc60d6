// SPDX-License-Identifier: MIT
#if Keel
    import PomeloBytes
    import PomeloJSON
    import PomeloPlugins

    /// What of a token can be seen without a key: whether it is one that this host may have signed, and by which key.
    ///
    /// The library takes any key for a name that it does not know, and does not look at `alg`; so both are looked at
    /// here, before it is asked.
    ///
    /// - Source: RFC 7515, 4.1 and 5.2; RFC 8037, 3.1; RFC 8725, 3.1.
    struct TokenText {
        static let maxBytes = 4096
        private static let signatureBytes = 64

        /// The name of the key, as the token says.
        let key: Text

        /// - Throws: `PluginTokenError` `.malformed`.
        init(_ token: String) throws(PluginTokenError) {
            guard token.utf8.count <= Self.maxBytes else { throw .malformed("more than \(Self.maxBytes) bytes") }
            let parts = token.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
            guard parts.count == 3 else { throw .malformed("not three parts") }
            let bytes = parts.map { Base64URL.decode(Bytes($0)) }
            guard let head = bytes[0], bytes[1] != nil, let signature = bytes[2] else {
                throw .malformed("no Base64url")
            }
            guard let head = Self.parsed(head) else { throw .malformed("the head is no JSON object") }
            guard head["alg"]?.string == "EdDSA" else { throw .malformed("another algorithm") }
            guard head["crit"] == nil else { throw .malformed("an extension that is not understood") }
            guard let key = head["kid"]?.string else { throw .malformed("no key is named") }
            guard signature.count == Self.signatureBytes else { throw .unsigned }
            self.key = Text(key)
        }

        private static func parsed(_ bytes: Bytes) -> JSONObject? {
            do { return try JSON.parse(bytes).object } catch { return nil }
        }
    }

    /// Base64 for URLs, without padding, of which each run of bytes has one spelling.
    ///
    /// - Source: RFC 4648, 5; RFC 7515, 2.
    enum Base64URL {
        static func encode(_ bytes: Bytes) -> String {
            let text = Base64.encode(bytes).utf8.prefix { $0 != UInt8(ascii: "=") }
            return String(
                decoding: text.map { byte in
                    switch byte {
                    case UInt8(ascii: "+"): UInt8(ascii: "-")
                    case UInt8(ascii: "/"): UInt8(ascii: "_")
                    default: byte
                    }
                }, as: UTF8.self)
        }

        /// Nil for any other spelling.
        static func decode(_ text: Bytes) -> Bytes? {
            let standard = text.map { byte in
                switch byte {
                case UInt8(ascii: "-"): UInt8(ascii: "+")
                case UInt8(ascii: "_"): UInt8(ascii: "/")
                default: byte
                }
            }
            guard let bytes = Base64.decode(standard.span),
                Text(encode(bytes)) == Text(String(decoding: text, as: UTF8.self))
            else { return nil }
            return bytes
        }
    }
#endif
