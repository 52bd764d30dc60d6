// SPDX-License-Identifier: MIT
#if Keel
    import AsyncHTTPClient
    import NIOCore
    import NIOHTTP1
    import PomeloBytes
    import PomeloLoop
    import PomeloPlugins

    /// The connections to plugins.
    final class UpstreamPool: Sendable {
        private let client: HTTPClient

        init(_ options: KeelCallerOptions) {
            var configuration = HTTPClient.Configuration()
            configuration.httpVersion = .http1Only
            configuration.redirectConfiguration = .disallow
            configuration.timeout.connect = KeelThread.time(options.connect)
            configuration.connectionPool.idleTimeout = KeelThread.time(options.idle)
            // Nothing waits for another one's connection: how many there are is bounded by the requests.
            configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = Int(Int32.max)
            // A connection that cannot be made is news, and the next attempt is for who asked to decide.
            configuration.connectionPool.retryConnectionEstablishment = false
            configuration.http1_1ConnectionDebugInitializer = { channel in
                channel.eventLoop.makeCompletedFuture { try StatusGuard.stand(in: channel) }
            }
            client = HTTPClient(eventLoopGroup: KeelThread.group, configuration: configuration)
        }

        /// One that was never stopped is, for the library takes anything else for a fault.
        deinit {
            let stopped: EventLoopFuture<Void> = client.shutdown()
            stopped.whenComplete { _ in }
        }

        /// Sends a request; what becomes of it is told to the reader.
        func send(
            _ request: HTTPClient.Request, until deadline: NIODeadline, to reader: any UpstreamReader
        ) -> UpstreamCall {
            let call = UpstreamCall(reader)
            call.start(request, on: client, until: deadline)
            return call
        }

        /// Requests in progress are cancelled; none can be sent any more.
        func stop() async throws { try await client.shutdown() }

        /// How many bytes of a body are to be sent.
        enum Body {
            case whole(Bytes)
            /// It is asked for when the plugin is connected; nil when its length will be seen.
            case flowing(length: Int?)
        }

        /// A request as the client has it; the reader is asked for a body that flows.
        ///
        /// - Throws: `UpstreamFailure` when it could not be sent.
        static func request(
            _ base: String, _ method: String, _ path: String, _ headers: [PluginHeader], _ body: Body,
            takes: @escaping @Sendable (HTTPClient.Body.StreamWriter, EventLoopPromise<Void>) -> Void = { _, _ in }
        ) throws(UpstreamFailure) -> HTTPClient.Request {
            guard HeaderRules.isToken(method), method != "CONNECT", path.utf8.first == UInt8(ascii: "/") else {
                throw .unsendable("no request: \(method.forLog) \(path.forLog)")
            }
            let kept = HeaderRules.endToEnd(headers, without: ["content-length", "expect"])
            do {
                return try HTTPClient.Request(
                    url: (base.hasSuffix("/") ? String(base.dropLast()) : base) + RequestTarget.escaped(path),
                    method: HTTPMethod(rawValue: method), headers: HTTPHeaders(kept.map { ($0.name, $0.value) }),
                    body: body.sent(takes))
            } catch {
                throw .unsendable("\(base.forLog): \(error)")
            }
        }
    }

    extension UpstreamPool.Body {
        fileprivate func sent(
            _ takes: @escaping @Sendable (HTTPClient.Body.StreamWriter, EventLoopPromise<Void>) -> Void
        ) -> HTTPClient.Body? {
            switch self {
            case .whole(let bytes): return bytes.isEmpty ? nil : .byteBuffer(ByteBuffer(bytes: bytes))
            case .flowing(length: 0): return nil
            case .flowing(let length):
                return .stream(contentLength: length.map(Int64.init)) { writer in
                    let end = KeelThread.loop.makePromise(of: Void.self)
                    takes(writer, end)
                    return end.futureResult
                }
            }
        }
    }
#endif
