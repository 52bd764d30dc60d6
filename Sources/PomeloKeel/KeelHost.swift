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
        private let address: (host: String, port: Int)
        private let log: Logger
        private var server: KeelServer?
        /// The port that is listened on, once it is.
        private(set) var port: Int?

        init(_ host: PluginHost, _ caller: KeelCaller, _ address: (host: String, port: Int), _ log: Logger) {
            self.host = host
            self.caller = caller
            self.address = address
            self.log = log
        }

        func start() async throws {
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

        func decide(_ head: KeelHead) async -> KeelDecision {
            switch await host.decide(PluginHead(head.method, head.path, headers: head.headers)) {
            case .answer(let response): return .answer(response)
            case .work(let limit, let work): return .work(limit: limit, within: .seconds(60), work)
            case .forward(let forward): return .forward(KeelForward(forward))
            }
        }

        func failure(_ outcome: KeelOutcome) -> PluginResponse {
            switch outcome {
            case .requestTooLarge: PluginAnswer(413, "the body is too large").response
            case .timedOut: PluginAnswer(504, "there was no answer in time").response
            default: PluginAnswer(502, "there was no answer").response
            }
        }
    }

    extension KeelForward {
        fileprivate init(_ forward: PluginForward) {
            self.init(
                base: forward.base, method: forward.method, path: forward.path, headers: forward.headers,
                deadline: forward.deadline, requestLimit: forward.bodyLimit, responseLimit: forward.bodyLimit,
                attempts: forward.attempts, finished: { forward.finished(PluginOutcome($0)) })
        }
    }

    extension PluginOutcome {
        fileprivate init(_ outcome: KeelOutcome) {
            switch outcome {
            case .answered(let status): self = .answered(status: status)
            case .unreachable: self = .unreachable
            case .broken: self = .broken
            case .timedOut: self = .timedOut
            case .requestTooLarge: self = .requestTooLarge
            case .responseTooLarge: self = .responseTooLarge
            case .abandoned: self = .abandoned
            }
        }
    }
#endif
