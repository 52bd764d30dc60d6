// SPDX-License-Identifier: MIT
import Foundation

/// A plugin that answers what is always the same, by nginx, and nginx once more as a bare proxy before it.
struct KeelPlace {
    static let secret = "benchmark-bootstrap-secret"
    static let plugin = "bench"
    let pluginPort: Int
    let proxyPort: Int
    private let proxyName = "nginx-proxy"
    private let proxy: Child
    private let upstream: Child

    init(_ place: Workplace) throws {
        let ports = try place.freePorts(2)
        (pluginPort, proxyPort) = (ports[0], ports[1])
        // Not on the core of those who are measured.
        upstream = try Self.nginx(place, "nginx-plugin", Self.answers(ports[0]), core: Workplace.loadCore)
        proxy = try Self.nginx(place, proxyName, Self.passes(ports[1], to: ports[0]), core: Workplace.serverCore)
        for port in ports { try Self.awaitAnswer("http://127.0.0.1:\(port)/x") }
    }

    /// The one that works; its parent only waits.
    var proxyWorker: Int32 {
        get throws {
            let text = try Child.output(of: ["pgrep", "-P", "\(proxy.pid)"])
            guard let pid = text.split(separator: "\n").first.flatMap({ Int32($0) }) else {
                throw Failure("the proxy has no worker")
            }
            return pid
        }
    }

    func stop() {
        proxy.stop()
        upstream.stop()
    }

    /// Has a host of plugins take it.
    func register(at port: Int) throws {
        let wish = #"{"id": "\#(Self.plugin)", "secret": "\#(Self.secret)", "url": "http://127.0.0.1:\#(pluginPort)"}"#
        let answer = try Child.output(of: [
            "curl", "-sS", "-d", wish, "http://127.0.0.1:\(port)/v1.0/invoke/plugins/method/register",
        ])
        guard answer.contains(#""ret":0"#) else { throw Failure("the plugin is not registered: \(answer)") }
    }

    static func awaitAnswer(_ url: String) throws {
        let limit = Date(timeIntervalSinceNow: 10)
        while Date() < limit {
            let status = try Child.output(of: ["sh", "-c", "curl -s -o /dev/null -w '%{http_code}' \(url) || true"])
            if status == "200" { return }
            Thread.sleep(forTimeInterval: 0.1)
        }
        throw Failure("\(url) does not answer")
    }

    private static func nginx(_ place: Workplace, _ name: String, _ server: String, core: Int) throws -> Child {
        let folder = place.folder.appendingPathComponent(name)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map {
            "\($0)_temp_path \(folder.path)/\($0);"
        }
        let text = """
            daemon off; worker_processes 1; pid \(folder.path)/pid; error_log \(folder.path)/error.log;
            events { worker_connections 2048; }
            http {
                access_log off; keepalive_requests 1000000000; \(paths.joined(separator: " "))
                \(server)
            }
            """
        let file = folder.appendingPathComponent("nginx.conf")
        try text.write(to: file, atomically: true, encoding: .utf8)
        return try place.start(name, ["nginx", "-c", file.path, "-p", folder.path], core: core)
    }

    private static func answers(_ port: Int) -> String {
        let identity =
            #"{"ret":0,"msg":"ok","plugin_id":"\#(plugin)","version":"1.0","main_plugin":[{"id":"chat","endpoints":"#
            + #"[{"addons":"before-send-callback","endpoint":"/before-send"}]}]}"#
        let bodies = [
            "/v1/identify": identity, "/v1/status": #"{"ret":0,"msg":"ok","status":"ACTIVE"}"#,
            "/before-send": #"{"ret":0,"msg":"ok"}"#, "/x": String(repeating: "x", count: 200),
        ]
        let places = bodies.sorted { $0.key < $1.key }.map { "location \($0.key) { return 200 '\($0.value)'; }" }
        return "server { listen 127.0.0.1:\(port); default_type application/json; \(places.joined(separator: " ")) }"
    }

    private static func passes(_ port: Int, to plugin: Int) -> String {
        """
        upstream plugin { server 127.0.0.1:\(plugin); keepalive 64; keepalive_requests 1000000000; }
        server {
            listen 127.0.0.1:\(port);
            location / { proxy_pass http://plugin; proxy_http_version 1.1; proxy_set_header Connection ""; }
        }
        """
    }
}
