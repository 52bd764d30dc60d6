// SPDX-License-Identifier: MIT
#if TLS
    import PomeloConnectors
    import PomeloCore
    import PomeloLoop
    import PomeloTLS
    import PomeloTesting
    import PomeloUV
    import TestHelpers
    import Testing

    /// The rules of all connectors hold when what is said is encrypted.
    @Loop @Suite struct EncryptedSuiteTests {
        @Test(arguments: ConnectorSuite.Case.allCases) func overTCP(_ name: ConnectorSuite.Case) async throws {
            try await ConnectorSuite(try await world(.tcp)).run(name)
        }

        @Test(arguments: ConnectorSuite.Case.allCases) func overWebSocket(_ name: ConnectorSuite.Case) async throws {
            try await ConnectorSuite(try await world(.webSocket)).run(name)
        }

        @Test(arguments: ConnectorSuite.Case.allCases) func overMQTT(_ name: ConnectorSuite.Case) async throws {
            try await ConnectorSuite(try await mqtt(overWebSocket: false)).run(name)
        }

        @Test(arguments: ConnectorSuite.Case.allCases)
        func overMQTTOverWebSocket(_ name: ConnectorSuite.Case) async throws {
            try await ConnectorSuite(try await mqtt(overWebSocket: true)).run(name)
        }

        private func mqtt(overWebSocket: Bool) async throws -> MQTTWorld {
            let authority = try await TestAuthority.make()
            let network = TLSNetwork(UVNetwork(), try TLSClient(authority.clientOptions))
            return MQTTWorld(
                network, overWebSocket: overWebSocket, tls: try await authority.issue(), keeping: authority)
        }

        private func world(_ transport: TestClient.Transport) async throws -> HybridWorld {
            let authority = try await TestAuthority.make()
            let network = TLSNetwork(UVNetwork(), try TLSClient(authority.clientOptions))
            return HybridWorld(transport, network, tls: try await authority.issue(), keeping: authority)
        }
    }
#endif
