// SPDX-License-Identifier: MIT
#if Keel
    import NIOCore
    import NIOHTTP1
    import PomeloBytes
    import PomeloPlugins

    /// The head of an answer, and where its body ends.
    ///
    /// - Source: RFC 9112, 6 and 9.3; RFC 9110, 8.6 and 15.3.5.
    struct AnswerHead {
        /// How the caller sees that a body is whole.
        enum Framing: Equatable {
            case none, length, chunks
            /// By the end of the connection, for callers of HTTP/1.0: then an answer that is cut ends with a reset.
            case connection
        }

        let head: HTTPResponseHead
        let framing: Framing
        /// Whether the connection may have another request.
        let keepsAlive: Bool

        /// With the length of a body that is whole, or without: then what the headers say is right.
        ///
        /// A status that is none of an answer becomes 500.
        init(
            _ status: Int, _ headers: [PluginHeader], length: Int? = nil, to request: HTTPRequestHead, keepsAlive: Bool
        ) {
            let isOld = request.version == .http1_0
            let status = (200...599).contains(status) ? status : 500
            var kept = HeaderRules.endToEnd(headers, without: length == nil && status != 204 ? [] : ["content-length"])
            if let length, status != 204, status != 304 { kept.append(PluginHeader("Content-Length", "\(length)")) }
            if request.method == .HEAD || status == 204 || status == 304 {
                framing = .none
            } else if kept["content-length"] != nil {
                framing = .length
            } else {
                framing = isOld ? .connection : .chunks
            }
            self.keepsAlive = keepsAlive && framing != .connection
            var fields = HTTPHeaders(kept.map { ($0.name, $0.value) })
            if framing == .chunks { fields.add(name: "Transfer-Encoding", value: "chunked") }
            if !self.keepsAlive {
                fields.add(name: "Connection", value: "close")
            } else if isOld {
                fields.add(name: "Connection", value: "keep-alive")
            }
            head = HTTPResponseHead(
                version: isOld ? .http1_0 : .http1_1, status: HTTPResponseStatus(statusCode: status), headers: fields)
        }
    }
#endif
