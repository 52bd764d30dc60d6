// SPDX-License-Identifier: MIT
import Pomelo

/// What load generators may call; the `echo` routes answer their bytes as they are.
enum BenchAPI {
    static let login = Call<Login, Done>("connector.entryHandler.login")
    static let bindOnly = Call<Login, Done>("connector.entryHandler.bindOnly")
    static let echoTyped = Call<ChatLine, ChatLine>("connector.entryHandler.echoTyped")
    static let connectorLag = Call<Watch, Lag>("connector.entryHandler.stats")
    static let chatLag = Call<Watch, Lag>("chat.chatHandler.stats")
    static let send = Call<Say, Done>("chat.chatHandler.send")
    static let asked = Call<Asked, Asked>("chat.chatHandler.asked")
    static let onMessage = Push<Say>("onMessage")
    static let rawEcho = "connector.entryHandler.echo"
    static let rawEchoWaiting = "connector.entryHandler.echoWaiting"
    static let forwardedEcho = "chat.chatHandler.echo"

    struct Login: Body {
        /// Text or number.
        var userId: JSON?
        var room: String?
    }

    struct Done: Body { var code = 200 }

    struct Say: Body {
        var ts: JSON?
        var content: JSON?
    }

    /// A line that is judged before it would be sent.
    struct Asked: Body {
        /// Who is asked: `nobody`, `body` or `plugin`.
        var whom: String
        var text: String
    }

    /// The body of the typed benchmark: 200 bytes as the driver sends it.
    struct ChatLine: Body {
        struct Place: Body {
            var x: Double
            var y: Double
        }

        var id: Int
        var from: String
        var target: String
        var text: String
        var at: Int
        var tags: [String]
        var place: Place
        var urgent: Bool
        var rank: Int
    }

    /// `{"watch":true}` starts a measurement, `{"watch":false}` ends it.
    struct Watch: Body { var watch: Bool }

    struct Lag: Body {
        var code = 200
        /// How late a timer of 1 ms came at most, in microseconds: no turn took longer.
        var longestMicroseconds: Int
        /// The most CPU time of the process between two of its calls, in microseconds.
        var longestCPUMicroseconds: Int
        /// Turns of the loop meanwhile.
        var turns: Int
    }
}

extension ServerType {
    static let connector: Self = "connector"
    static let chat: Self = "chat"
}
