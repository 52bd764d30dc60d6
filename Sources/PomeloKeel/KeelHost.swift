// SPDX-License-Identifier: MIT
#if Keel
    import Logging
    import PomeloCore
    import PomeloLoop
    import PomeloPlugins

    /// The component that serves plugins and their callers over HTTP: what the host decides, the server does.
    @Loop final class KeelHost: Component, KeelDesk {
        let name = "keel"
        private let host: PluginHost
        private let caller: KeelCaller
        /// Nil: nobody is served here, and plugins are called all the same.
        private let address: (host: String, port: Int)?
        private let log: Logger
        private var server: KeelServer?
        /// The port that is listened on, once it is.
        private(set) var port: Int?

        init(_ host: PluginHost, _ caller: KeelCaller, _ address: (host: String, port: Int)?, _ log: Logger) {
            self.host = host
            self.caller = caller
            self.address = address
            self.log = log
        }

        func start() async throws {
            guard let address else { return }
            let server = KeelServer(self, caller: caller)
            self.server = server
            port = try await server.start(host: address.host, port: address.port)
            log.info("plugins are served", metadata: ["plugins.port": "\(port ?? 0)"])
        }

        /// After the host, which is loaded before: what is under way may still ask it.
        func stop() async {
            await server?.stop()
            await caller.stop()
        }

        func decide(_ head: PluginHead) async -> PluginDecision { await host.decide(head) }

        func failure(_ outcome: PluginOutcome) -> PluginResponse {
            switch outcome {
            case .requestTooLarge: PluginAnswer(413, "the body is too large").response
            case .timedOut: PluginAnswer(504, "there was no answer in time").response
            default: PluginAnswer(502, "there was no answer").response
            }
        }
    }
#endif
