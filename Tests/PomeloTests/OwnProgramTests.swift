// SPDX-License-Identifier: MIT
import Foundation
import Pomelo
import PomeloUV
import Testing

private enum OwnAPI {
    static let greet = Call<Nothing, Nothing>("connector.greeter.greet")
}

private struct GreetHandler: Handler {
    let app: Application
    var routes: [ServedRoute] { on(OwnAPI.greet) { _, _ in } }
}

/// A program without `PomeloCommand`, of the documentation's article on one's own package.
private struct OwnProgram {
    static func main() async throws { try await makeServer("connector-1", "config").run() }

    @Loop static func makeServer(_ id: ServerID, _ folder: String) throws -> Application {
        let configuration = try Configuration(folder: folder, env: "development")
        let environment = try ServerEnvironment()
        let app = try Application(configuration, id: id, environment: environment, network: UVNetwork())
        app.connector = HybridConnector(try app.options(HybridOptions()))
        try app.handle(GreetHandler(app: app))
        return app
    }
}

@Suite struct OwnProgramTests {
    @Test @Loop func aServerIsMadeOfItsFiles() throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path + "/Game"
        let app = try OwnProgram.makeServer("connector-1", folder)
        #expect(app.clusterName == "game" && app.limits.clientRequest == .seconds(5))
        #expect(app.isFrontend && app.servedRoutes == ["connector.greeter.greet"])
        let error = #expect(throws: PomeloError.self) { try OwnProgram.makeServer("connector-9", folder) }
        #expect(error?.message.contains(#"has no server "connector-9" for development"#) == true)
    }
}
