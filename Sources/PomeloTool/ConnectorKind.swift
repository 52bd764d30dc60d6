// SPDX-License-Identifier: MIT
import ArgumentParser

/// What the clients of a new project speak, and what that changes in its files.
///
/// The page speaks pomelo's protocol beside MQTT and datagrams too, for a browser knows neither.
enum ConnectorKind: String, ExpressibleByArgument, CaseIterable {
    case hybrid
    case socketio
    case wss
    case udp
    case mqtt

    /// What is asked for by a number, in the order of pomelo 2.2.7, bin/pomelo.
    static let question = "1 hybrid (pomelo's own protocol), 2 socketio, 3 wss, 4 udp, 5 mqtt"

    /// By its name or number; the first one for nothing.
    static func chosen(_ answer: String) -> ConnectorKind? {
        if answer.isEmpty { return .hybrid }
        let order: [ConnectorKind] = [.hybrid, .socketio, .wss, .udp, .mqtt]
        if let number = Int(answer) { return order.indices.contains(number - 1) ? order[number - 1] : nil }
        return ConnectorKind(rawValue: answer)
    }

    static var helpOfAll: String { allCases.map { "\($0.rawValue) (\($0.help))" }.joined(separator: ", ") }

    private var help: String {
        switch self {
        case .hybrid: "pomelo's own protocol, over TCP and WebSocket"
        case .socketio: "socket.io"
        case .wss: "the first one, encrypted"
        case .udp: "the first one, and the same in datagrams"
        case .mqtt: "the first one, and MQTT on the same port"
        }
    }

    private static let hybridCall = "HybridConnector(try app.options(HybridOptions(heartbeat: .seconds(30))))"

    /// What the program gives its frontends.
    var assignment: String {
        switch self {
        case .hybrid, .wss: "app.connector = \(Self.hybridCall)"
        case .socketio: "app.connector = SocketIOConnector(try app.options(SocketIOOptions()))"
        case .udp: Self.both("UDPConnector(try app.options(UDPOptions()))")
        case .mqtt: Self.both("MQTTConnector(try app.options(MQTTOptions()))")
        }
    }

    private static func both(_ other: String) -> String {
        """
        app.connectors = [
                        \(hybridCall),
                        \(other),
                    ]
        """
    }

    /// How servers.json says where clients connect.
    var clientPort: String {
        self == .wss ? #""clients": [{"type": "hybrid", "port": 3010, "tls": true}]"# : #""clientPort": 3010"#
    }

    /// Traits of the package beside those that it has by default.
    var traits: String { self == .wss ? #", traits: ["TLS", "CommandLine"]"# : "" }
    /// Debian's packages, to build and to run.
    var packages: (build: String, run: String) { self == .wss ? (" libssl-dev", " libssl3") : ("", "") }
    var scheme: String { self == .wss ? "wss" : "ws" }
    var protocolName: String { self == .socketio ? "socket.io" : "pomelo's protocol" }

    /// What the folder of the configuration holds beside servers and Redis.
    var options: String {
        switch self {
        case .hybrid: "and what a file for options of your own may say"
        case .socketio: "which pages may connect (`socketio.json`)"
        case .wss: "the certificate (`connector.json`)"
        case .udp: "and what datagrams may cost, in a file `udp.json`"
        case .mqtt: "and who is told what clients publish, in a file `mqtt.json`"
        }
    }

    /// What README tells of it alone.
    var note: String {
        switch self {
        case .hybrid, .socketio: ""
        case .wss:
            """

            Clients are encrypted: `sh certs/make.sh` makes an authority of your own and a certificate for `localhost`,
            before the first start. A browser must believe `certs/ca.pem`. In production the files of `certs` are
            others, and a new certificate is read while the servers run.

            """
        case .udp:
            """

            The same protocol goes in datagrams, to UDP port 3010: a package each, unreliable, without order.

            """
        case .mqtt:
            """

            A client of MQTT connects to the same port, and publishes to routes. What answers comes on
            `answer/<message id>`:

            ```
            mosquitto_pub -p 3010 -q 1 -t connector.entry.enter -m '{"name": "eve", "room": "lobby"}'
            ```

            """
        }
    }
}
