// SPDX-License-Identifier: MIT
#if Keel
    import AsyncHTTPClient
    import NIOCore
    import NIOHTTP1
    import PomeloBytes
    public import PomeloLoop
    public import PomeloPlugins

    /// The bounds of the HTTP client.
    public struct KeelCallerOptions: Sendable {
        /// Calls in progress, of which a further one fails; those of ``KeelServer`` are bounded there.
        public var calls = 1024
        /// Time for a connection, from which on a plugin is `.unreachable`.
        public var connect = Duration.seconds(2)
        /// How long a connection waits for the next request; less than the common 5 s of servers, which would close it
        /// just when it is used.
        public var idle = Duration.seconds(4)

        /// The defaults.
        public init() {}
    }

    /// Calls plugins over HTTP/1.1, on connections that are kept.
    ///
    /// - Guarantee: a call ends at its deadline, whatever comes or does not come; nothing is sent twice; no redirect is
    ///   followed. At no time is more of an answer held than its limit and one read of the socket.
    /// - Isolation: bytes are sent and received on a thread of NIO; a call costs the loop two hops.
    @Loop public final class KeelCaller: PluginCaller {
        let pool: UpstreamPool
        private let options: KeelCallerOptions
        private var inProgress = 0
        private var isStopped = false

        /// Nothing is connected yet.
        public nonisolated init(_ options: KeelCallerOptions = KeelCallerOptions()) {
            self.options = options
            pool = UpstreamPool(options)
        }

        /// Sends one request, once, and returns the whole answer, whatever its status.
        ///
        /// Headers of one hop (RFC 9110, 7.6.1) are neither sent nor returned. A cancelled task cancels its call.
        public func call(
            _ base: String, _ request: PluginRequest, within deadline: Duration, limit: Int
        ) async throws(PluginCallError) -> PluginResponse {
            if isStopped { throw .unreachable("the caller has stopped") }
            guard inProgress < options.calls else { throw .unreachable("\(options.calls) calls are in progress") }
            if deadline <= .zero { throw .timeout }
            inProgress += 1
            defer { inProgress -= 1 }
            let end = FirstOutcome<Result<PluginResponse, PluginCallError>>()
            let call = CollectedCall(limit: max(0, limit)) { result in
                KeelThread.onLoop { end.end(with: result) }
            }
            let pool = pool
            KeelThread.run { call.start(base, request, until: KeelThread.deadline(after: deadline), pool) }
            let result = await withTaskCancellationHandler {
                await end.wait()
            } onCancel: {
                KeelThread.run { call.cancel() }
            }
            return try result.get()
        }

        /// Closes the connections; calls in progress end, and there are no further ones.
        public func stop() async {
            if isStopped { return }
            isStopped = true
            // It can only fail by being called twice.
            do { try await pool.stop() } catch { assertionFailure("\(error)") }
        }
    }

    /// One call whose answer is collected.
    private final class CollectedCall: UpstreamReader, @unchecked Sendable {
        // SAFETY: touched on NIO's thread alone.
        private let limit: Int
        private let ended: (Result<PluginResponse, PluginCallError>) -> Void
        private var isOpen = true
        private var call: UpstreamCall?
        private var method = ""
        private var head: HTTPResponseHead?
        private var body = ByteBuffer()

        init(limit: Int, _ ended: @escaping (Result<PluginResponse, PluginCallError>) -> Void) {
            self.limit = limit
            self.ended = ended
        }

        func start(_ base: String, _ request: PluginRequest, until deadline: NIODeadline, _ pool: UpstreamPool) {
            method = request.method
            do throws(UpstreamFailure) {
                let sent = try UpstreamPool.request(
                    base, request.method, request.path, request.headers, .whole(request.body))
                guard isOpen else { return }
                let call = pool.send(sent, until: deadline, to: self)
                if isOpen { self.call = call } else { call.cancel() }
            } catch {
                upstreamEnded(error)
            }
        }

        func cancel() {
            call?.cancel()
            end(.failure(.broken("the call was cancelled")))
        }

        private func end(_ result: Result<PluginResponse, PluginCallError>) {
            guard isOpen else { return }
            isOpen = false
            call = nil
            ended(result)
        }

        func upstreamTakes(_ writer: HTTPClient.Body.StreamWriter, _ end: EventLoopPromise<Void>) { end.succeed() }

        func upstreamBegan(_ head: HTTPResponseHead) -> Bool {
            self.head = head
            let announced = head.bodyLength(of: method) ?? 0
            if announced > limit { end(.failure(.tooLarge)) }
            return isOpen
        }

        func upstreamSent(_ bytes: ByteBuffer) -> EventLoopFuture<Void>? {
            guard bytes.readableBytes <= limit - body.readableBytes else {
                end(.failure(.tooLarge))
                return nil
            }
            body.writeImmutableBuffer(bytes)
            return KeelThread.loop.makeSucceededVoidFuture()
        }

        func upstreamEnded(_ failure: UpstreamFailure?) {
            switch failure {
            case .unreachable(let why), .unsendable(let why): end(.failure(.unreachable(why)))
            case .broken(let why): end(.failure(.broken(why)))
            case .malformed(let why): end(.failure(.malformed(why)))
            case .timedOut: end(.failure(.timeout))
            case nil: end(head.map { .success(answer($0)) } ?? .failure(.malformed("no head")))
            }
        }

        private func answer(_ head: HTTPResponseHead) -> PluginResponse {
            PluginResponse(
                Int(head.status.code), headers: HeaderRules.endToEnd(head.headers.plugin),
                body: Bytes(body.readableBytesView))
        }
    }

    extension HTTPHeaders {
        /// The same in the words of the seam.
        var plugin: [PluginHeader] { map { PluginHeader($0.name, $0.value) } }
    }

    extension HTTPResponseHead {
        /// How many bytes the body of an answer has, as far as the head says so; 0 where there can be none.
        func bodyLength(of method: String) -> Int? {
            if method == "HEAD" || status.code == 204 || status.code == 304 { return 0 }
            return headers.first(name: "content-length").flatMap { Int($0) }
        }
    }
#endif
