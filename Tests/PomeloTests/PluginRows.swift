// SPDX-License-Identifier: MIT

/// Of `rowTable`, plugins in other processes.
let pluginRows = """
    GET /v1/identify
        IdentityTests.everySpellingSaysTheSame
        IdentityTests.whatIsWrongIsNamed
    GET /v1/status
        RoutingTests.theGateAnswersByStatus
        HealthTests.regressionADeadPluginIsNotActive
    POST /v1/addons/identify
        RegistrationTests.aMainPluginIsAskedInTheSpelledWay
        RegistrationTests.aMainPluginMayRefuse
    POST plugins/method/register
        RegistrationTests.onlyTheBootstrapSecretRegisters
        RegistrationTests.aSecondRegistrationIsRefusedUnlessItReplaces
    POST plugins/method/delete
        RegistrationTests.unregisteringDrains
    POST plugins/method/oauth2/token
        RoutingTests.aRevokedPluginsTokenAndSecretAreVoid
        HealthTests.keysAreMadeOnceAndRotated
    keel/method/{id}/{path}
        CallPathTests.pathsSayWhatIsWanted
        KeelForwardTests.largeBodiesFlowThroughByteByByte
    keel/method/addons/{point}
        RoutingTests.severalImplementersAreAskedAsThePointSays
    externalPreRouteCheck
        RoutingTests.callersFromOutsideAreCheckedByWhoImplementsThat
        RoutingTests.aCheckThatAdmitsEverybodyIsNotTaken
    headers x-keel…, dapr-caller-…, x-tKeel-auth
        RoutingTests.onlyThePlatformSaysWhoCalls
    ANY /v1.0/invoke/{app-id}/method/{path}
        RoutingTests.directInvocationsFailWithTheSidecarsCode
    GET /v1.0/healthz, /v1.0/metadata
        CallPathTests.pathsSayWhatIsWanted
    """
