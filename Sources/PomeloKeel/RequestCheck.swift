// SPDX-License-Identifier: MIT
#if Keel
    import NIOCore
    import NIOHTTP1
    import PomeloBytes
    import PomeloPlugins

    /// Whether the head of a request is one that this server takes.
    ///
    /// - Source: RFC 9112, 3.2 and 6.3; RFC 9110, 9.3 and 10.1.1.
    struct RequestCheck {
        let options: KeelServerOptions

        /// Why a request is refused before anybody looks at it; nil when it is not.
        func refusal(_ head: HTTPRequestHead) -> Refusal? {
            if head.uri.utf8.count > options.targetBytes { return .target }
            let headers = head.headers
            if headers.count > options.headerCount { return .headers }
            let bytes = headers.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count }
            if bytes > options.headerBytes { return .headers }
            if head.method == .CONNECT || head.method == .TRACE { return .method }
            guard RequestTarget.path(of: head.uri) != nil, headers.plugin.allSatisfy(HeaderRules.isSound) else {
                return .request
            }
            let hosts = headers["host"].count
            if hosts > 1 || hosts == 0 && head.version != .http1_0 { return .request }
            return encoding(head)
        }

        /// A body in another encoding than chunks could not be handed on as it is.
        private func encoding(_ head: HTTPRequestHead) -> Refusal? {
            let encodings = head.headers["transfer-encoding"].flatMap(HeaderRules.tokens)
            if encodings.isEmpty { return nil }
            if head.version == .http1_0 { return .request }
            return encodings == ["chunked"] ? nil : .encoding
        }

        /// The limits of the decoder, which bound what it keeps of a head that is incomplete.
        ///
        /// It counts the target and the headers together; which of them is too long is seen when the head is there.
        var decoderLimits: NIOHTTPDecoderLimitConfiguration {
            var limits = NIOHTTPDecoderLimitConfiguration()
            limits.maxHeaderFieldSize = options.headerBytes + options.targetBytes
            limits.maxHeaderListSize = options.headerBytes + options.targetBytes
            limits.maxHeaderFieldCount = options.headerCount + 1
            return limits
        }
    }

    /// An answer to what is no request that this server takes, or not now.
    struct Refusal: Sendable {
        let status: Int
        let code: String
        let message: String

        static let request = Refusal(status: 400, code: "ERR_BAD_REQUEST", message: "this is no request")
        static let method = Refusal(status: 405, code: "ERR_BAD_METHOD", message: "no such method")
        static let slow = Refusal(status: 408, code: "ERR_SLOW_REQUEST", message: "the request took too long")
        static let target = Refusal(status: 414, code: "ERR_LONG_TARGET", message: "the path is too long")
        static let headers = Refusal(status: 431, code: "ERR_LONG_HEADERS", message: "too many or too long headers")
        static let encoding = Refusal(status: 501, code: "ERR_BAD_ENCODING", message: "no such transfer encoding")
        static let busy = Refusal(status: 503, code: "ERR_BUSY", message: "too many requests in progress")

        var answer: PluginResponse {
            var headers = [PluginHeader("Content-Type", "application/json")]
            if status == 405 { headers.append(PluginHeader("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")) }
            if status == 503 { headers.append(PluginHeader("Retry-After", "1")) }
            let body = #"{"errorCode":"\#(code)","message":"\#(message)"}"#
            return PluginResponse(status, headers: headers, body: Bytes(body.utf8))
        }
    }
#endif
