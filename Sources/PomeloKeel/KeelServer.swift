// SPDX-License-Identifier: MIT
#if Keel
    import HummingbirdCore
    import Logging
    import NIOCore
    import NIOPosix
    import PomeloCore
    public import PomeloLoop

    /// An HTTP/1.1 server that asks a desk what becomes of each request.
    ///
    /// - Guarantee: a request has one answer, or its connection ends; an answer that is not whole ends with the
    ///   connection and never looks whole. Everything has a bound, see ``KeelServerOptions``.
    /// - Isolation: bytes are moved on a thread of NIO; a request costs the loop one hop for the decision, and one for
    ///   what is told at its end.
    @Loop public final class KeelServer {
        private enum State { case fresh, running, stopped }

        let share: ServerShare
        private let logger: Logger
        private var state = State.fresh
        private var server: Server<KeelChannel>?
        private let ended = FirstOutcome<Void>()
        /// Where it listens; nil unless it does.
        public private(set) var port: Int?

        /// A server that uses the connections of a caller, which is to be stopped after it; nothing listens yet.
        public init(_ desk: any KeelDesk, caller: KeelCaller, options: KeelServerOptions = KeelServerOptions()) {
            share = ServerShare(desk, options, caller.pool)
            var logger = Logger(label: "pomelo.keel")
            // The library tells of itself what is no news here.
            logger.logLevel = .error
            self.logger = logger
        }

        /// Requests in progress at the moment.
        public var requests: Int { get async { await ask { $0.requests } } }
        /// Connections of callers at the moment.
        public var connections: Int { get async { await ask { $0.connections.count } } }

        private func ask(_ question: @escaping @Sendable (ServerShare) -> Int) async -> Int {
            let answer = FirstOutcome<Int>()
            let share = share
            KeelThread.run {
                let count = question(share)
                KeelThread.onLoop { answer.end(with: count) }
            }
            return await answer.wait()
        }

        /// Listens, and returns the port, which is another one when 0 is given.
        ///
        /// - Throws: `PomeloError` `.configuration` when it cannot be had; and when it was started before.
        @discardableResult
        public func start(host: String = "127.0.0.1", port: Int = 0) async throws -> Int {
            guard state == .fresh else { throw PomeloError(.configuration, "the HTTP server was started before") }
            guard (0...65535).contains(port) else { throw PomeloError(.configuration, "there is no port \(port)") }
            state = .running
            let bound = FirstOutcome<Result<Int, any Error>>()
            let server = Server(
                childChannelSetup: KeelChannel(share: share),
                configuration: ServerConfiguration(
                    address: .hostname(host, port: port),
                    availableConnectionsDelegate: MaximumAvailableConnections(share.options.connections, logger: logger)
                ),
                onServerRunning: { channel in
                    let port = channel.localAddress?.port ?? port
                    // More at a time could be accepted than there is room for.
                    let prepared = channel.setOption(.maxMessagesPerRead, value: 1)
                    prepared.whenComplete { _ in KeelThread.onLoop { bound.end(with: .success(port)) } }
                },
                eventLoopGroup: KeelThread.group, logger: logger)
            self.server = server
            let ended = ended
            Task(executorPreference: KeelThread.executor) {
                var failure: any Error = PomeloError(.notRunning, "the HTTP server has stopped")
                do { try await server.run() } catch { failure = error }
                let end = failure
                KeelThread.onLoop {
                    bound.end(with: .failure(end))
                    ended.end()
                }
            }
            switch await bound.wait() {
            case .success(let port):
                self.port = port
                return port
            case .failure(let error):
                state = .stopped
                throw PomeloError(.configuration, "http://\(host):\(port) cannot be had: \(error)")
            }
        }

        /// Takes no further requests, lets those in progress end for some time, and closes.
        ///
        /// Work that is not done then goes on until its own time is over.
        ///
        /// - Guarantee: every request that was forwarded has been told its end.
        public func stop(within time: Duration = .seconds(5)) async {
            guard state == .running, let server else { return }
            state = .stopped
            port = nil
            let share = share
            let cut = KeelThread.loop.scheduleTask(in: KeelThread.time(time)) { share.cut() }
            // It can only fail when it was not running.
            do { try await server.shutdownGracefully() } catch { logger.error("\(error)") }
            cut.cancel()
            await ended.wait()
            KeelThread.run { share.stopped() }
        }
    }
#endif
