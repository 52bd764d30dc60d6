// SPDX-License-Identifier: MIT
import Foundation
import Glibc
import PomeloJSON
import PomeloLoop
import PomeloTLS
import PomeloTesting
import PomeloUV
import TestHelpers
import Testing

/// The `docker` section of the configuration, with every service's own command, run without containers: names resolve
/// through a hosts map to loopback addresses, one per service, and client ports bind there.
@Suite struct DockerSectionTests {
    #if TLS
        static let sections = ["docker", "docker-tls"]
    #else
        static let sections = ["docker"]
    #endif

    @Test(arguments: sections) @Loop func servicesChatThroughTheirNames(_ section: String) async throws {
        let redis = try await RedisServer.start()
        let chat = try await ServerProcesses.prepare("Chat", config: "config")
        var addresses = ["redis": "127.0.0.1"]
        try await rewrite(section, chat, redis.port, &addresses)
        // The authority's files go with it.
        let (network, authority) = try await network(of: section, chat)
        let hosts = addresses.map { "\($0.key)=\($0.value)" }.joined(separator: ",")
        let records =
            try chat.read("\(chat.folder)/servers.json")[section]?.object?.values.flatMap { $0.array ?? [] } ?? []
        for id in chat.ids + ["master-server-2"] {
            let first = id == "master-server-2" ? "master-2" : "master"
            let host = records.first { $0["id"]?.string == id }?["host"]?.string ?? first
            chat.environment = [
                "POMELO_SECRET": "of the cluster", "POMELO_HOSTS": hosts, "POMELO_BIND": addresses[host] ?? "",
            ]
            try chat.launch(id, arguments: ["--env", section, "--id", id, "--config", chat.folder])
        }
        for id in chat.ids { try await chat.awaitUp(id) }
        let ann = try await client(network, chat, "connector-server-1", addresses["connector-1"] ?? "", "ann")
        let bob = try await client(network, chat, "connector-server-2", addresses["connector-2"] ?? "", "bob")
        #expect(try await ann.next("onAdd") == ["user": "bob"])
        #expect(try await ann.request("chat.chatHandler.send", ["content": "hi", "target": "bob"]) == [:])
        #expect(try await bob.next("onChat")["msg"] == "hi")
        try await health(section, chat, hosts)
        try await commands(section, chat, hosts)
        try await chat.stop()
        await redis.stop()
        withExtendedLifetime(authority) {}
    }

    /// The docker section of the project's files with free ports for what tests may run at once.
    @Loop private func rewrite(
        _ section: String, _ chat: ServerProcesses, _ redisPort: Int, _ addresses: inout [String: String]
    ) async throws {
        let config = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("config").path
        let fresh = try chat.read("\(chat.folder)/servers.json")["development"]?.object ?? JSONObject()
        var types = try chat.read("\(config)/servers.json")[section]?.object ?? JSONObject()
        for type in types.keys {
            let ports = fresh[type]?.array ?? []
            types[type] = .array(
                (types[type]?.array ?? []).enumerated().map { index, record in
                    var record = record.object ?? JSONObject()
                    for key in ["port", "clientPort"] { record[key] = ports[index][key] }
                    record["clients"] = record["clients"]?.array.map { entries in
                        .array(entries.map { moved($0, to: ports[index]["clientPort"]) })
                    }
                    addresses[record["host"]?.string ?? ""] = "127.0.0.\(20 + addresses.count)"
                    return .object(record)
                })
        }
        try chat.write("servers", [section: .object(types)])
        var master = try chat.read("\(config)/master.json")[section]?.object ?? JSONObject()
        master["port"] = try chat.read("\(chat.folder)/master.json")["development"]?["port"]
        addresses[master["host"]?.string ?? ""] = "127.0.0.\(20 + addresses.count)"
        try chat.write("master", [section: .object(master)])
        var standby = try chat.read("\(config)/masterha.json")[section]?["masterha"]?.array?.first?.object ?? [:]
        standby["port"] = .int(Int64(try await TestPorts.next()))
        addresses[standby["host"]?.string ?? ""] = "127.0.0.\(20 + addresses.count)"
        try chat.write("masterha", [section: ["masterha": [.object(standby)]]])
        let person: JSON = ["username": "ann", "role": "operate", "password": .string(Self.hash)]
        try chat.write("adminUser", [section: [person]])
        let host = try chat.read("\(config)/redis.json")[section]?["host"] ?? .null
        try chat.write("redis", [section: ["host": host, "port": .int(Int64(redisPort))]])
    }

    private func moved(_ entry: JSON, to port: JSON?) -> JSON {
        var entry = entry.object ?? JSONObject()
        entry["port"] = port
        return .object(entry)
    }

    /// How clients speak to a section's ports; where these are encrypted, they are given a certificate of the test's.
    @Loop private func network(of section: String, _ chat: ServerProcesses) async throws -> (any Network, AnyObject?) {
        #if TLS
            guard section == "docker-tls" else { return (ServerProcesses.network, nil) }
            let file = try chat.read("\(ServerProcesses.root())/config/docker-tls/connector.json")
            #expect(
                file == ["tls": ["certificate": "certificates/server.pem", "key": "certificates/server.key"]],
                "where the folder of certificates is put")
            let authority = try await TestAuthority.make()
            let own = try await authority.issue("DNS:localhost")
            // In the place of the folder in a container.
            let paths: JSON = ["certificate": .string(own.certificateFile), "key": .string(own.keyFile)]
            try chat.write("connector", ["tls": paths])
            return (TLSNetwork(ServerProcesses.network, try TLSClient(authority.clientOptions)), authority)
        #else
            return (ServerProcesses.network, nil)
        #endif
    }

    @Loop private func client(
        _ network: any Network, _ chat: ServerProcesses, _ id: String, _ host: String, _ name: String
    ) async throws -> TestClient {
        let client = try await TestClient.connect(
            to: SocketAddress(host: host, port: chat.clientPorts[id] ?? 0), over: network,
            as: .webSocket)
        _ = try await client.handshake()
        let entered = try await client.request(
            "connector.entryHandler.enter", ["username": .string(name), "rid": "hall"])
        #expect(entered["users"] != nil, "\(entered)")
        return client
    }

    /// Of "correct horse battery".
    private static let hash = "scrypt$10$8$1$AAECAwQFBgcICQoLDA0ODw==$vUwCg/kON/Flg0Kzz4X/QrI8uYPIrgvgRxjflHpYrXs="

    /// An operator is answered by whichever master there is, and told what masters in containers do not do.
    @Loop private func commands(_ section: String, _ chat: ServerProcesses, _ hosts: String) async throws {
        let environment = [
            "POMELO_HOSTS": hosts, "POMELO_SECRET": "of the cluster", "POMELO_ADMIN_PASSWORD": "correct horse battery",
        ]
        func run(_ words: [String]) async throws -> (ending: ChildProcess.Ending, lines: [String]) {
            let line = words + ["--env", section, "--config", chat.folder, "--user", "ann"]
            return try await ChildProcess.run(
                .init("\(ServerProcesses.binaries)/Chat", line, environment: environment))
        }
        let look = ["console", "-c", "module onlineUser"]
        let before = try await run(look)
        #expect(before.lines.contains("connections: 2"), "\(before)")
        let refused = try await run(["restart", "chat-server-1"])
        #expect(refused.ending == .exited(1) && refused.lines.count == 1, "\(refused)")
        #expect(refused.lines.first?.hasSuffix(": this master keeps no servers") == true, "\(refused)")
        chat["master-server-1"].signal(SIGKILL)
        let after = try await run(look)
        #expect(after.lines.contains("logins: 2"), "\(after)")
    }

    /// What compose runs to see whether a service is healthy.
    @Loop private func health(_ section: String, _ chat: ServerProcesses, _ hosts: String) async throws {
        let environment = ["POMELO_HOSTS": hosts, "POMELO_SECRET": "of the cluster"]
        for (id, expected) in [("gate-server-1", ChildProcess.Ending.exited(0)), ("nobody", .exited(1))] {
            var status: ChildProcess.Ending?
            var lines: [String] = []
            let words = ["health", "--env", section, "--id", id, "--config", chat.folder]
            let child = try ChildProcess(
                ChildProcess.Command("\(ServerProcesses.binaries)/Chat", words, environment: environment),
                onLine: { lines.append($0) }, onExit: { status = $0 })
            _ = child.pid
            try await eventually("health of \(id)") { status != nil && !lines.isEmpty }
            if expected == .exited(0) { #expect(lines == ["\(id) is up and ready"], "asked over a sealed connection") }
            #expect(status == expected)
        }
    }
}
