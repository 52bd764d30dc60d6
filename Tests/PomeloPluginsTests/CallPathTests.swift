// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloContract
import PomeloExtensions
import PomeloJSON
import PomeloLoop
import PomeloTesting
import Testing

@testable import PomeloPlugins

/// What a caller's path and form say.
@Suite struct CallPathTests {
    static let paths: [(String, String?, CallPath)] = [
        ("/v1.0/healthz", nil, .health), ("/v1.0/healthz/outbound", nil, .health), ("/v1.0/metadata", nil, .metadata),
        ("/v1.0/invoke/a/method/x/y?z=1", nil, .plugin("a", "/x/y?z=1")),
        ("/v1.0/invoke/a.b/method/x%2Fy", nil, .plugin("a.b", "/x%2Fy")),
        ("/v1.0/invoke/keel/method/a/x", nil, .plugin("a", "/x")),
        ("/v1.0/invoke/keel/method/apis/a/x?q", nil, .plugin("a", "/x?q")),
        ("/v1.0/invoke/keel/method/1.0/a/x", nil, .plugin("a", "/x")),
        ("/v1.0/invoke/keel/method/addons/BeforeSend", nil, .point("before-send", "")),
        ("/v1.0/invoke/keel/method/apis/addons/p/more?q", nil, .point("p", "/more?q")),
        ("/v1.0/invoke/keel/method/plugins/register", nil, .registry("register", query: "")),
        ("/v1.0/invoke/plugins/method/show?id=a", nil, .registry("show", query: "?id=a")),
        ("/v1.0/invoke/rudder/method/v1/oauth2/plugin", nil, .registry("oauth2/plugin", query: "")),
        ("/v1.0/invoke/keel/method/chat/v1/sessions/ann", nil, .cluster("sessions/ann", query: "")),
        ("/v1.0/invoke/keel/method/dapr/subscribe", nil, .probe),
        ("/x/y?z", "a", .plugin("a", "/x/y?z")), ("/a/x", "keel", .plugin("a", "/x")),
    ]

    @Test(arguments: paths) func pathsSayWhatIsWanted(_ path: String, _ app: String?, _ wanted: CallPath) {
        #expect(CallPath(path, appID: app, namespace: "pomelo") == wanted)
    }

    @Test(arguments: [
        "", "x", "/", "/x", "/v1.0/invoke", "/v1.0/invoke/a", "/v1.0/invoke/a/method", "/v1.0/invoke/a/method/",
        "/v1.0/invoke/a/x/y", "/v1.0/invoke//method/x", "/v1.0/invoke/a b/method/x", "/v1.0/invoke/keel/method/a",
        "/v1.0/invoke/keel/method/addons/", "/v1.0/invoke/keel/method//x", "/v1.0/invoke/keel/method/chat/v2/x",
        "/v1.0/invoke/keel/method/apis/apis/a/x", "/v1.0/Invoke/a/method/x", "/v1.0/invoke/a/method/../x",
        "/v1.0/invoke/a/method/x/..", "/v1.0/invoke/keel/method/a/./x", "/v1.0/invoke/a/method/%2e%2E/x",
        "/v1.0/invoke/a/method/.%2e", "/v1.0/invoke/../invoke/a/method/x",
    ]) func otherPathsAreNamedAsSuch(_ path: String) {
        guard case .unknown = CallPath(path, namespace: "pomelo") else {
            Issue.record("\(path)")
            return
        }
    }

    @Test func formsAreReadAsTheStandardSays() {
        let form = FormFields(Bytes("a=1&a=2&b=c+d&c=%C3%A4&d=%+f&e=%f&f=%zz&g=%FF&=x&h&i=".utf8))
        #expect(form["a"] == "1" && form["b"] == "c d" && form["c"] == "ä" && form[""] == "x" && form["i"] == "")
        for name in ["d", "e", "f", "g", "h"] { #expect(form[name] == nil, "\(name)") }
        #expect(FormFields.unescaped("a+b%2B") == "a+b+" && FormFields.unescaped("%FF") == nil)
    }

    @Test @Loop func anIdMayHaveTheClustersNameBehindIt() async throws {
        let world = try await PluginWorld.started()
        let (plugin, _) = try await world.join("acme.words", at: "http://a:1")
        let cluster = try #require(try await world.ask("GET", "/v1.0/metadata").json["namespace"]?.string)
        for app in ["acme.words", "acme.words.\(cluster)"] {
            #expect(try await world.ask("GET", "/v1.0/invoke/\(app)/method/x").status == 200, "\(app)")
        }
        #expect(plugin.requests(of: "/x").count == 2)
        #expect(try await world.ask("GET", "/v1.0/invoke/keel.\(cluster)/method/acme.words/x").status == 200)
        #expect(try await world.ask("GET", "/v1.0/invoke/acme.words.other/method/x").status == 404)
        world.plugin("acme.\(cluster)", at: "http://b:1")
        let refused = try await world.register("acme.\(cluster)", at: "http://b:1")
        #expect(refused.status == 400, "nobody could call it: \(refused.json)")
    }
}
