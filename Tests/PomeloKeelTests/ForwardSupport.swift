// SPDX-License-Identifier: MIT
#if Keel
    import PomeloBytes
    import PomeloKeel
    import PomeloLoop
    import PomeloPlugins
    import TestHelpers
    import Testing

    /// Hosts that forward, and what they are told.
    enum Forwards {
        static let get = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n"
        static let endless = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        static let chunk = Bytes("1000\r\n\(String(repeating: "x", count: 4096))\r\n".utf8)

        @Loop static func forwarding(
            to base: String, deadline: Duration = .seconds(20), requestLimit: Int = 4 << 20,
            responseLimit: Int = 4 << 20, attempts: Int = 1
        ) -> TestHost {
            TestHost { desk, head in
                desk.forward(
                    head, to: base, deadline: deadline, requestLimit: requestLimit, responseLimit: responseLimit,
                    attempts: attempts)
            }
        }

        @Loop static func forwarding(to peer: Peer, deadline: Duration = .seconds(20)) -> TestHost {
            forwarding(to: peer.base, deadline: deadline)
        }

        /// A plugin that answers with what it was sent.
        @Loop static func echo() -> TestHost {
            TestHost { _, _ in
                .work(limit: 4 << 20, within: .seconds(20)) { request in
                    PluginResponse(200, headers: [PluginHeader("X-Method", request.method)], body: request.body)
                }
            }
        }

        @Loop static func outcome(_ host: TestHost) async -> PluginOutcome? {
            await until("an outcome") { !host.desk.outcomes.entries.isEmpty }
            // A second one would be there soon.
            for _ in 0..<20 { await Loop.yield() }
            #expect(host.desk.outcomes.entries.count == 1)
            await until("nothing is in progress") { await host.server.requests == 0 }
            return host.desk.outcomes.entries.first
        }

        static func kind(_ outcome: PluginOutcome?) -> String {
            switch outcome {
            case .unreachable: "unreachable"
            case .broken: "broken"
            case let other: "\(String(describing: other))"
            }
        }
    }
#endif
