using System.Runtime.Versioning;
using System.Text.Json.Nodes;
using Onggi.Cli;

namespace Onggi.DeployTests.Kubernetes;

/// <summary>The laptop's compose.yaml, as far as it can be judged without Docker.</summary>
[UnsupportedOSPlatform("windows")]
public sealed class ComposeTests : IDisposable
{
    // What the Compose specification has for a service, of which we use a part: a misspelt word is found.
    private static readonly HashSet<string> Words =
    [
        "image",
        "build",
        "command",
        "entrypoint",
        "environment",
        "user",
        "working_dir",
        "profiles",
        "ports",
        "volumes",
        "secrets",
        "tmpfs",
        "mem_limit",
        "healthcheck",
        "depends_on",
        "read_only",
        "cap_drop",
        "cap_add",
        "security_opt",
        "restart",
        "network_mode",
    ];

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("onggi-compose-");

    private static JsonNode Compose { get; } = Yaml.Documents(Sources.Text("deploy/compose.yaml")).Single();

    private static IEnumerable<(string Name, JsonNode Service)> Services =>
        Compose["services"]!.AsObject().Select(pair => (pair.Key, pair.Value!));

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void Every_word_is_one_of_the_specification()
    {
        Assert.All(
            Compose.AsObject(),
            pair =>
                Assert.True(
                    pair.Key is "name" or "services" or "volumes" or "secrets" || pair.Key.StartsWith("x-", StringComparison.Ordinal),
                    pair.Key
                )
        );
        Assert.All(Services, service => Assert.Empty(service.Service.AsObject().Select(pair => pair.Key).Except(Words)));
    }

    [Fact]
    public void Everything_listens_on_this_machine_only_and_Redis_on_6383()
    {
        foreach (var (name, service) in Services)
            Assert.All(
                service.Texts("ports"),
                port => Assert.True(port.StartsWith("127.0.0.1:", StringComparison.Ordinal), $"{name}: {port}")
            );

        Assert.Equal(["127.0.0.1:6383:6379"], Compose.Texts("services.redis.ports"));
        var ports = Services.SelectMany(service => service.Service.Texts("ports")).ToList();
        Assert.Distinct(ports.Select(port => port.Split(':')[1]));
    }

    [ToolFact("kubectl")]
    public async Task Images_are_those_of_the_cluster_by_the_same_tags()
    {
        var cluster = new HashSet<string>();
        foreach (var overlay in Manifests.Overlays)
            cluster.UnionWith(
                (await Manifests.OfAsync(overlay))
                    .Pods()
                    .SelectMany(pod => Manifests.Containers(pod.Pod))
                    .Select(container => container.Text("image"))
            );
        foreach (var (name, service) in Services)
        {
            var image = service.Text("image");
            Assert.Matches(@"^[a-z0-9./_-]+:v?\d+\.\d+\.\d+$", image);
            if (name is not ("prometheus" or "alertmanager" or "grafana"))
                Assert.Contains(image, cluster);
        }
    }

    [Fact]
    public void What_is_mounted_and_built_is_there()
    {
        foreach (var (name, service) in Services)
        {
            foreach (var mount in service.Texts("volumes").Select(volume => volume.Split(':')[0]))
            {
                if (mount is "./textfile")
                    continue; // secrets.sh makes it.
                if (mount.StartsWith('.'))
                    Assert.True(Path.Exists(Sources.PathOf($"deploy/{mount}")), $"{name} mounts {mount}, which is not there.");
                else
                    Assert.NotNull(Compose.At("volumes")?[mount]);
            }

            foreach (var other in (service.At("depends_on") as JsonObject)?.Select(pair => pair.Key) ?? service.Texts("depends_on"))
                Assert.NotNull(Compose["services"]![other]);
            if (service.At("build") is null)
                continue;
            Assert.Equal("..", service.Text("build.context"));
            Assert.True(File.Exists(Sources.PathOf(service.Text("build.dockerfile"))));
            Assert.True(Directory.Exists(Sources.PathOf($"samples/PhoneBill/{service.Text("build.args.PROJECT")}")));
        }
    }

    [Fact]
    public void The_services_are_there_when_they_are_asked_for()
    {
        string[] always = ["redis", "redis-exporter", "prometheus", "alertmanager", "textfile", "grafana"];

        Assert.Equal(
            always.Order(),
            Services.Where(service => service.Service.At("profiles") is null).Select(service => service.Name).Order()
        );
        Assert.All(
            Services.Where(service => service.Service.At("profiles") is not null),
            service => Assert.Equal(["phonebill"], service.Service.Texts("profiles"))
        );
    }

    [Fact]
    public void Containers_can_do_little()
    {
        foreach (var (name, service) in Services)
        {
            Assert.Equal((name, "ALL"), (name, Assert.Single(service.Texts("cap_drop"))));
            Assert.Contains("no-new-privileges:true", service.Texts("security_opt"));
            Assert.True(service.Text("mem_limit").Length > 0, $"{name} may take all memory.");
            // The one that is root gives a folder away and ends, without a network.
            if (name == "data")
                Assert.Equal(("0:0", "none"), (service.Text("user"), service.Text("network_mode")));
            else
                Assert.Equal((name, "true", "${ONGGI_USER:-1000:1000}"), (name, service.Text("read_only"), service.Text("user")));
        }
    }

    [Fact]
    public async Task One_script_makes_all_secrets_for_its_owner_only_and_keeps_those_that_are_there()
    {
        // The tool as it was built for these tests.
        var tool = Path.Combine(_folder.FullName, "onggi");
        await File.WriteAllTextAsync(tool, $"#!/bin/sh\nexec dotnet {typeof(OnggiTool).Assembly.Location} \"$@\"\n");
        File.SetUnixFileMode(tool, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        var secrets = Path.Combine(_folder.FullName, "secrets");

        await MakeAsync();
        var first = Directory.EnumerateFiles(secrets).ToDictionary(file => file, File.ReadAllText);
        await MakeAsync();

        foreach (var (name, secret) in Compose["secrets"]!.AsObject())
            Assert.True(File.Exists(Path.Combine(secrets, secret.Text("file")["./secrets/".Length..])), $"{name} is not made.");
        Assert.Equal(first, Directory.EnumerateFiles(secrets).ToDictionary(file => file, File.ReadAllText));
        Assert.All(
            first.Keys,
            file => Assert.Equal(UnixFileMode.None, File.GetUnixFileMode(file) & ~(UnixFileMode.UserRead | UnixFileMode.UserWrite))
        );
        var used = Services
            .SelectMany(service => service.Service.Items("secrets"))
            .Select(secret => secret is JsonObject ? secret.Text("source") : secret.ToString());
        Assert.Equal(Compose["secrets"]!.AsObject().Select(pair => pair.Key).Order(), used.Distinct().Order());
        // What services read is JSON, and the exporter's is by the address that Prometheus asks for.
        Assert.Equal(64, JsonNode.Parse(Read("settings-auth.json")).Text("Onggi.Tokens.RefreshSecret").Length);
        Assert.Equal(
            JsonNode.Parse(Read("settings.json")).Text("Onggi.PersonalSecret"),
            JsonNode.Parse(Read("settings-auth.json")).Text("Onggi.PersonalSecret")
        );
        foreach (var address in (string[])["redis://exporter@redis:6379", "redis://redis:6379"])
            Assert.Equal(Read("exporter").Trim(), JsonNode.Parse(Read("exporter.json"))![address]!.ToString());
        Assert.StartsWith("-----BEGIN PUBLIC KEY-----", Read("token.pub.pem"), StringComparison.Ordinal);

        string Read(string name) => File.ReadAllText(Path.Combine(secrets, name));

        async Task MakeAsync()
        {
            var run = await Tools.RunAsync(
                "sh",
                ["deploy/compose/secrets.sh"],
                new Dictionary<string, string> { ["ONGGI"] = tool, ["ONGGI_SECRETS"] = secrets }
            );
            Assert.True(run.Code == 0, run.Output + run.Error);
        }
    }

    [Fact]
    public void Git_does_not_know_the_secrets()
    {
        Assert.Contains("deploy/secrets/", Sources.Text(".gitignore").Split('\n'));
        Assert.Contains("deploy/secrets", Sources.Text(".dockerignore").Split('\n'));
    }
}
