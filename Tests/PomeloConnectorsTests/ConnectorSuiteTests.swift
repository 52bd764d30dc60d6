// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloTesting
import PomeloUV
import Testing

/// Every connector of the project keeps the rules of all of them.
@Loop @Suite struct ConnectorSuiteTests {
    @Test(arguments: ConnectorSuite.Case.allCases) func theHybridConnectorOverTCP(_ name: ConnectorSuite.Case)
        async throws
    {
        try await ConnectorSuite(HybridWorld(.tcp)).run(name)
    }

    @Test(arguments: ConnectorSuite.Case.allCases)
    func theHybridConnectorOverWebSocket(_ name: ConnectorSuite.Case) async throws {
        try await ConnectorSuite(HybridWorld(.webSocket)).run(name)
    }

    @Test(arguments: ConnectorSuite.Case.allCases) func thePipeConnector(_ name: ConnectorSuite.Case) async throws {
        try await ConnectorSuite(PipeWorld()).run(name)
    }

    @Test(arguments: ConnectorSuite.Case.allCases)
    func thePipeConnectorInMemory(_ name: ConnectorSuite.Case) async throws {
        let network = MemoryNetwork(clock: SystemClock.shared)
        network.maxChunk = 700
        try await ConnectorSuite(PipeWorld(network.endpoint("here"))).run(name)
    }

    @Test(arguments: ConnectorSuite.Case.allCases)
    func theSocketIOConnectorOverWebSocket(_ name: ConnectorSuite.Case) async throws {
        try await ConnectorSuite(SocketIOWorld(.webSocket, UVNetwork())).run(name)
    }

    @Test(arguments: ConnectorSuite.Case.allCases) func theMQTTConnector(_ name: ConnectorSuite.Case) async throws {
        try await ConnectorSuite(MQTTWorld()).run(name)
    }

    @Test(arguments: ConnectorSuite.Case.allCases)
    func theMQTTConnectorInMemory(_ name: ConnectorSuite.Case) async throws {
        let network = MemoryNetwork(clock: SystemClock.shared)
        network.maxChunk = 700
        try await ConnectorSuite(MQTTWorld(network.endpoint("here"))).run(name)
    }

    @Test(arguments: ConnectorSuite.Case.allCases)
    func theMQTTConnectorOverWebSocket(_ name: ConnectorSuite.Case) async throws {
        try await ConnectorSuite(MQTTWorld(overWebSocket: true)).run(name)
    }

    /// But for the number of connections: a polling client has two of them.
    @Test(arguments: ConnectorSuite.Case.allCases.filter { $0 != .maxConnections })
    func theSocketIOConnectorByPolling(_ name: ConnectorSuite.Case) async throws {
        try await ConnectorSuite(SocketIOWorld(.polling, UVNetwork())).run(name)
    }
}
