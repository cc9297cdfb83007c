using System.Text.Json;
using Onggi.Cli;
using Onggi.Cli.Deployment;
using Onggi.Cli.Deployment.Pinning;

namespace Onggi.DeployTests.Pinning;

/// <summary><c>onggi deploy pin</c> against a registry on loopback. A real one was never asked from here.</summary>
public sealed class PinTests : IAsyncLifetime
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("onggi-pin-tests");
    private FakeRegistry _registry = null!;

    public async Task InitializeAsync() => _registry = await FakeRegistry.StartAsync();

    public async Task DisposeAsync()
    {
        await _registry.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public async Task Without_being_asked_to_write_it_only_says_what_it_would_write()
    {
        var text = $"containers:\n  - name: a\n    image: {_registry.Host}/team/app:1.2.3\n";
        var file = Write("app.yaml", text);

        var (code, output, error) = await PinAsync(file);

        Assert.Equal((0, ""), (code, error));
        Assert.Contains(
            $"{file}:3: {_registry.Host}/team/app:1.2.3@{FakeRegistry.DigestOf("team/app", "1.2.3")}\n",
            output,
            StringComparison.Ordinal
        );
        Assert.EndsWith(
            "1 place with an image, 1 place to be pinned; nothing was written: add --write.\n",
            output,
            StringComparison.Ordinal
        );
        Assert.Equal(text, File.ReadAllText(file));
    }

    [Fact]
    public async Task Lines_of_images_get_the_digest_and_nothing_else_changes()
    {
        var host = _registry.Host;
        var file = Write(
            "app.yaml",
            $"# Two documents.\nkind: A\nimage: {host}/team/app:1.2.3   # exact\n---\nservices:\n  b: {{ image: \"{host}/team/list:2\" }}\n  c: {{ image: '{host}/team/app' }}\n  d: {{ image: \"$IMAGE:1\" }}\n"
        );

        var (code, output, _) = await PinAsync(_folder.FullName, "--write");

        Assert.Equal(0, code);
        Assert.EndsWith("3 places with an image, 3 places to be pinned; written.\n", output, StringComparison.Ordinal);
        Assert.Equal(
            $"# Two documents.\nkind: A\nimage: {host}/team/app:1.2.3@{FakeRegistry.DigestOf("team/app", "1.2.3")}   # exact\n---\nservices:\n  b: {{ image: \"{host}/team/list:2@{FakeRegistry.DigestOf("team/list", "2")}\" }}\n  c: {{ image: '{host}/team/app@{FakeRegistry.DigestOf("team/app", "latest")}' }}\n  d: {{ image: \"$IMAGE:1\" }}\n",
            File.ReadAllText(file)
        );
        Assert.Equal([file], Directory.GetFiles(_folder.FullName));
    }

    [Fact]
    public async Task Images_of_a_kustomization_get_a_field_of_their_own()
    {
        var host = _registry.Host;
        var file = Write(
            "kustomization.yaml",
            $"""
            kind: Kustomization
            resources: [redis.yaml]
            images:
              - name: redis
                newName: {host}/team/redis
                newTag: 7.2.5
              - name: {host}/team/app
                newTag: "1.0"
                # behind it
              - {"{"} name: x, newName: {host}/team/x, newTag: "3" {"}"}
              - name: {host}/team/old
                digest: sha256:0000
                newTag: "9"
              - name: left-alone
                newName: other

            """
        );

        var (code, output, _) = await PinAsync(file, "--write");

        Assert.Equal(
            (0, true),
            (code, output.Contains("4 places with an image, 3 places to be pinned; written.", StringComparison.Ordinal))
        );
        Assert.Equal(
            $"""
            kind: Kustomization
            resources: [redis.yaml]
            images:
              - name: redis
                newName: {host}/team/redis
                newTag: 7.2.5
                digest: {FakeRegistry.DigestOf("team/redis", "7.2.5")}
              - name: {host}/team/app
                newTag: "1.0"
                digest: {FakeRegistry.DigestOf("team/app", "1.0")}
                # behind it
              - {"{"} name: x, newName: {host}/team/x, newTag: "3", digest: {FakeRegistry.DigestOf("team/x", "3")} {"}"}
              - name: {host}/team/old
                digest: sha256:0000
                newTag: "9"
              - name: left-alone
                newName: other

            """,
            File.ReadAllText(file)
        );
    }

    [Fact]
    public async Task What_has_a_digest_is_asked_anew_only_when_that_is_wanted()
    {
        var host = _registry.Host;
        var file = Write("app.yaml", $"image: {host}/team/app:1.0@sha256:0000\n");
        var kustomization = Write(
            "kustomization.yaml",
            $"kind: Kustomization\nimages:\n  - name: {host}/team/app\n    newTag: \"1.0\"\n    digest: sha256:0000\n"
        );

        var (_, output, _) = await PinAsync(_folder.FullName, "--write");
        Assert.EndsWith("2 places with an image, 0 places to be pinned; nothing to do.\n", output, StringComparison.Ordinal);
        Assert.Empty(_registry.Asked);

        await PinAsync(_folder.FullName, "--write", "--update");
        var digest = FakeRegistry.DigestOf("team/app", "1.0");
        Assert.Equal($"image: {host}/team/app:1.0@{digest}\n", File.ReadAllText(file));
        Assert.EndsWith($"    newTag: \"1.0\"\n    digest: {digest}\n", File.ReadAllText(kustomization), StringComparison.Ordinal);
        Assert.Single(_registry.Asked);
    }

    [Fact]
    public async Task What_stands_once_and_is_used_twice_is_pinned_once()
    {
        var file = Write("app.yaml", $"a: &a {{ image: {_registry.Host}/team/app:1.0 }}\nb: *a\nc: &c [*c]\n");

        var (code, output, _) = await PinAsync(file, "--write");

        Assert.Equal(
            (0, true),
            (code, output.EndsWith("1 place with an image, 1 place to be pinned; written.\n", StringComparison.Ordinal))
        );
        Assert.Equal(
            $"a: &a {{ image: {_registry.Host}/team/app:1.0@{FakeRegistry.DigestOf("team/app", "1.0")} }}\nb: *a\nc: &c [*c]\n",
            File.ReadAllText(file)
        );
    }

    [Fact]
    public async Task A_token_is_fetched_where_the_registry_wants_one()
    {
        var (code, _, error) = await PinAsync(Write("app.yaml", $"image: {_registry.Host}/team/locked:1.0\n"), "--write");

        Assert.Equal((0, ""), (code, error));
        Assert.Equal(
            [
                "GET /v2/team/locked/manifests/1.0",
                "GET /token?service=registry%2C%20of%20the%20test&scope=repository%3Ateam%2Flocked%3Apull",
                "GET /v2/team/locked/manifests/1.0",
            ],
            _registry.Asked
        );
    }

    [Theory]
    [InlineData("missing", "has no tag 1.0 of team/missing. Is it pushed, and spelled right?")]
    [InlineData("closed", "refuses team/closed: there is none, or it needs a login")]
    [InlineData("basic", "refuses team/basic: there is none, or it needs a login")]
    [InlineData("elsewhere", "sends us to tokens.example.org for a token, without TLS: refused.")]
    [InlineData("nowhere", "wants a login and does not say where.")]
    [InlineData("tokenless", "answers without a token.")]
    [InlineData("busy", "has had too many questions from here.")]
    [InlineData("broken", "answers 503.")]
    [InlineData("silent", "did not answer within 1 s.")]
    [InlineData("stalled", "did not answer within 1 s.")]
    [InlineData("page", "answers with text/html, which is no manifest of an image.")]
    [InlineData("liar", "something in between changes answers.")]
    public async Task What_fails_is_said_and_no_file_is_touched(string name, string says)
    {
        var good = Write("a.yaml", $"image: {_registry.Host}/team/app:1.0\n");
        var bad = Write("b.yaml", $"image: {_registry.Host}/team/{name}:1.0\n");

        var (code, output, error) = await PinAsync(_folder.FullName, "--write", "--timeout", "1s");

        Assert.Equal(2, code);
        Assert.StartsWith($"onggi: {_registry.Host}/team/{name}:1.0: ", error, StringComparison.Ordinal);
        Assert.Contains(says, error, StringComparison.Ordinal);
        Assert.Contains($"{bad}:1: {_registry.Host}/team/{name}:1.0 was not found.\n", output, StringComparison.Ordinal);
        Assert.EndsWith("1 image not found, so nothing was written.\n", output, StringComparison.Ordinal);
        Assert.Equal($"image: {_registry.Host}/team/app:1.0\n", File.ReadAllText(good));
        Assert.Equal($"image: {_registry.Host}/team/{name}:1.0\n", File.ReadAllText(bad));
    }

    [Fact]
    public async Task Nobody_there_is_said_so()
    {
        var (code, _, error) = await PinAsync(Write("app.yaml", "image: 127.0.0.1:9/team/app:1.0\n"), "--write", "--timeout", "5s");

        Assert.Equal(2, code);
        Assert.Contains("127.0.0.1:9 could not be asked: ", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Images_can_be_left_alone_and_a_mirror_asked_instead()
    {
        var file = Write("app.yaml", "a: { image: redis:7.2.5 }\nb: { image: phonebill/auth:0.1.0 }\n");

        var (code, _, error) = await PinAsync(file, "--write", "--skip", "phonebill/*", "--mirror", $"docker.io={_registry.Host}");

        Assert.Equal((0, ""), (code, error));
        Assert.Equal(
            $"a: {{ image: redis:7.2.5@{FakeRegistry.DigestOf("library/redis", "7.2.5")} }}\nb: {{ image: phonebill/auth:0.1.0 }}\n",
            File.ReadAllText(file)
        );
    }

    [Fact]
    public async Task Programs_read_it_as_JSON()
    {
        var file = Write("app.yaml", $"a: {{ image: {_registry.Host}/team/single:1 }}\nb: {{ image: {_registry.Host}/team/missing:1 }}\n");

        var (code, output, _) = await PinAsync(file, "--json");

        var images = JsonElement.Parse(output).GetProperty("images");
        Assert.Equal((2, false), (code, JsonElement.Parse(output).GetProperty("written").GetBoolean()));
        Assert.Equal(FakeRegistry.DigestOf("team/single", "1"), images[0].GetProperty("digest").GetString());
        Assert.False(images[0].GetProperty("severalPlatforms").GetBoolean());
        Assert.Equal(JsonValueKind.Null, images[1].GetProperty("digest").ValueKind);
        Assert.Contains("has no tag", images[1].GetProperty("problem").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_login_is_used_for_its_registry_and_for_no_other()
    {
        using var http = new HttpClient { Timeout = TimeSpan.FromSeconds(20) };
        var image = ImageReference.Parse($"{_registry.Host}/team/basic:1")!;
        RegistryClient Client(string registry) =>
            new(http, new Dictionary<string, string>(), new RegistryLogin(registry, FakeRegistry.User, FakeRegistry.Password));

        var found = await Client(_registry.Host).ResolveAsync(image, CancellationToken.None);
        var refused = await Assert.ThrowsAsync<ToolException>(() =>
            Client("registry.example.org").ResolveAsync(image, CancellationToken.None)
        );

        Assert.Equal(new ResolvedImage(FakeRegistry.DigestOf("team/basic", "1"), IsIndex: true), found);
        Assert.DoesNotContain(FakeRegistry.Password, refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("redis", "docker.io", "library/redis", null, null, "redis")]
    [InlineData("redis:7.2.5", "docker.io", "library/redis", "7.2.5", null, "redis:7.2.5")]
    [InlineData("docker.io/library/redis:7", "docker.io", "library/redis", "7", null, "redis:7")]
    [InlineData("team/app@sha256:00", "docker.io", "team/app", null, "sha256:00", "team/app@sha256:00")]
    [InlineData("localhost/app:1", "localhost", "app", "1", null, "localhost/app:1")]
    [InlineData(
        "registry.example.org:5000/a/b/c:v1@sha256:00",
        "registry.example.org:5000",
        "a/b/c",
        "v1",
        "sha256:00",
        "registry.example.org:5000/a/b/c:v1@sha256:00"
    )]
    public void Names_are_read_as_the_container_tools_read_them(
        string text,
        string registry,
        string repository,
        string? tag,
        string? digest,
        string spelled
    )
    {
        var image = ImageReference.Parse(text);

        Assert.Equal(new ImageReference(registry, repository, tag, digest), image);
        Assert.Equal(spelled, image!.ToString());
    }

    [Theory]
    [InlineData("")]
    [InlineData("two words")]
    [InlineData("redis:")]
    [InlineData("registry.example.org/")]
    public void What_is_no_name_is_none(string text) => Assert.Null(ImageReference.Parse(text));

    [Theory]
    [InlineData("nothing to pin.yaml", "there is no file")]
    [InlineData("--timeout", "soon", "--timeout \"soon\" is no duration")]
    [InlineData("--mirror", "docker.io", "--mirror \"docker.io\" is none")]
    [InlineData("--login", "registry.example.org", "ONGGI_REGISTRY_USER")]
    public async Task What_cannot_be_meant_is_refused_in_words(params string[] argsAndSays)
    {
        var file = Write("app.yaml", "image: 127.0.0.1:9/team/app:1.0\n");

        var (code, _, error) = await PinAsync([file, .. argsAndSays[..^1]]);

        Assert.Equal(2, code);
        Assert.Contains(argsAndSays[^1], error, StringComparison.Ordinal);
    }

    private string Write(string name, string text)
    {
        var path = Path.Combine(_folder.FullName, name);
        File.WriteAllText(path, text);
        return path;
    }

    private static async Task<(int Code, string Output, string Error)> PinAsync(params string[] args)
    {
        using var output = new StringWriter { NewLine = "\n" };
        using var error = new StringWriter { NewLine = "\n" };
        var code = await OnggiTool.RunAsync(["deploy", "pin", .. args], output, error);
        return (code, output.ToString(), error.ToString());
    }
}
