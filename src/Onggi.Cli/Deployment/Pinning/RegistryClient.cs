using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text.Json;

namespace Onggi.Cli.Deployment.Pinning;

/// <summary>What a tag means at its registry now.</summary>
/// <param name="Digest">Of the index of all platforms where there is one, of the only image otherwise.</param>
/// <param name="IsIndex">Whether it is one for several platforms.</param>
internal sealed record ResolvedImage(string Digest, bool IsIndex);

/// <summary>User and password for one registry.</summary>
internal sealed record RegistryLogin(string Registry, string User, string Password);

/// <summary>Asks registries for digests, by the HTTP API v2: GET /v2/NAME/manifests/TAG, with a token where the registry wants one.</summary>
/// <remarks>https://distribution.github.io/distribution/spec/api/ and https://distribution.github.io/distribution/spec/auth/token/</remarks>
/// <param name="http">Its time-out is that of one question.</param>
/// <param name="mirrors">Registries that are asked instead of others, by the others' names.</param>
/// <param name="login">For one of them; <c>null</c> for none.</param>
internal sealed class RegistryClient(HttpClient http, IReadOnlyDictionary<string, string> mirrors, RegistryLogin? login)
{
    private const int MostBytes = 4 << 20;

    private static readonly string[] Indexes =
    [
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    ];

    private static readonly string[] Images =
    [
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    ];

    /// <summary>The digest of the tag, <c>latest</c> where none is named.</summary>
    /// <exception cref="ToolException">It could not be learned; the message says why and what to do.</exception>
    public async Task<ResolvedImage> ResolveAsync(ImageReference image, CancellationToken cancellationToken)
    {
        try
        {
            using var first = await AskAsync(image, authorization: null, cancellationToken).ConfigureAwait(false);
            if (first.StatusCode != HttpStatusCode.Unauthorized)
                return await ReadAsync(image, first, cancellationToken).ConfigureAwait(false);
            var authorization = await AuthorizeAsync(image, first, cancellationToken).ConfigureAwait(false);
            using var second = await AskAsync(image, authorization, cancellationToken).ConfigureAwait(false);
            return await ReadAsync(image, second, cancellationToken).ConfigureAwait(false);
        }
        catch (HttpRequestException problem)
        {
            throw new ToolException(
                $"{HostOf(image)} could not be asked: {problem.Message.TrimEnd('.')}. Is there a network here, and a proxy to be named (HTTPS_PROXY)?"
            );
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new ToolException(
                $"{HostOf(image)} did not answer within {http.Timeout.TotalSeconds.ToString(CultureInfo.InvariantCulture)} s. Try again, or give it longer: --timeout 1m."
            );
        }
    }

    private async Task<HttpResponseMessage> AskAsync(
        ImageReference image,
        AuthenticationHeaderValue? authorization,
        CancellationToken cancellationToken
    )
    {
        var address = new Uri($"{Base(HostOf(image))}/v2/{image.Repository}/manifests/{image.Tag ?? "latest"}");
        using var request = new HttpRequestMessage(HttpMethod.Get, address);
        request.Headers.Authorization = authorization;
        foreach (var type in Indexes.Concat(Images))
            request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue(type));
        return await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken).ConfigureAwait(false);
    }

    private async Task<ResolvedImage> ReadAsync(ImageReference image, HttpResponseMessage response, CancellationToken cancellationToken)
    {
        if (!response.IsSuccessStatusCode)
            throw new ToolException(Explain(image, response.StatusCode));
        var type = response.Content.Headers.ContentType?.MediaType ?? "";
        var isIndex = Indexes.Contains(type, StringComparer.OrdinalIgnoreCase);
        if (!isIndex && !Images.Contains(type, StringComparer.OrdinalIgnoreCase))
            throw new ToolException(
                $"{HostOf(image)} answers with {(type.Length == 0 ? "no content type" : type)}, which is no manifest of an image. Is a sign-in page or a proxy in between?"
            );
        var body = await BytesAsync(image, response, cancellationToken).ConfigureAwait(false);
        var digest = $"sha256:{Convert.ToHexStringLower(SHA256.HashData(body))}";
        if (
            response.Headers.TryGetValues("Docker-Content-Digest", out var said)
            && said.FirstOrDefault() is { } other
            && other.StartsWith("sha256:", StringComparison.Ordinal)
            && other != digest
        )
            throw new ToolException($"{HostOf(image)} says {other}, and what it sent is {digest}: something in between changes answers.");
        return new ResolvedImage(digest, isIndex);
    }

    private async Task<byte[]> BytesAsync(ImageReference image, HttpResponseMessage response, CancellationToken cancellationToken)
    {
        // The time-out of the client ends with the headers; a body that does not come must not wait for ever.
        using var patience = new CancellationTokenSource(http.Timeout, TimeProvider.System);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancellationToken);
        using var buffer = new MemoryStream();
        var stream = await response.Content.ReadAsStreamAsync(either.Token).ConfigureAwait(false);
        await using (stream.ConfigureAwait(false))
        {
            var chunk = new byte[16 << 10];
            for (int read; (read = await stream.ReadAsync(chunk, either.Token).ConfigureAwait(false)) > 0; )
            {
                buffer.Write(chunk, 0, read);
                if (buffer.Length > MostBytes)
                    throw new ToolException($"{HostOf(image)} answers with more than {Words.Size(MostBytes)}, which is no manifest.");
            }
        }

        return buffer.ToArray();
    }

    // Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/redis:pull"
    private async Task<AuthenticationHeaderValue> AuthorizeAsync(
        ImageReference image,
        HttpResponseMessage refusal,
        CancellationToken cancellationToken
    )
    {
        var challenge = refusal.Headers.WwwAuthenticate.FirstOrDefault(one => one.Scheme is "Bearer" or "Basic");
        if (challenge?.Scheme == "Basic")
            return Basic(image) ?? throw new ToolException(NeedsLogin(image));
        var fields = Fields(challenge?.Parameter ?? "");
        if (!fields.TryGetValue("realm", out var realm) || !Uri.TryCreate(realm, UriKind.Absolute, out var address))
            throw new ToolException($"{HostOf(image)} wants a login and does not say where.");
        if (address.Scheme != Uri.UriSchemeHttps && !IsLoopback(address.Host))
            throw new ToolException($"{HostOf(image)} sends us to {address.Authority} for a token, without TLS: refused.");
        var scope = fields.GetValueOrDefault("scope", $"repository:{image.Repository}:pull");
        var query = $"service={Uri.EscapeDataString(fields.GetValueOrDefault("service", ""))}&scope={Uri.EscapeDataString(scope)}";
        using var request = new HttpRequestMessage(
            HttpMethod.Get,
            new UriBuilder(address) { Query = address.Query.Length > 1 ? $"{address.Query[1..]}&{query}" : query }.Uri
        );
        request.Headers.Authorization = Basic(image);
        using var response = await http.SendAsync(request, cancellationToken).ConfigureAwait(false);
        if (!response.IsSuccessStatusCode)
            throw new ToolException(
                response.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden
                    ? NeedsLogin(image)
                    : $"{address.Authority} gives no token: {(int)response.StatusCode} {response.ReasonPhrase}."
            );
        return new AuthenticationHeaderValue(
            "Bearer",
            Token(await response.Content.ReadAsStringAsync(cancellationToken).ConfigureAwait(false))
                ?? throw new ToolException($"{address.Authority} answers without a token.")
        );
    }

    private static string? Token(string body)
    {
        try
        {
            using var document = JsonDocument.Parse(body);
            foreach (var name in (string[])["token", "access_token"])
                if (
                    document.RootElement.ValueKind == JsonValueKind.Object
                    && document.RootElement.TryGetProperty(name, out var token)
                    && token.ValueKind == JsonValueKind.String
                )
                    return token.GetString();
        }
        catch (JsonException)
        {
            // Said by the caller: there is no token in it.
        }

        return null;
    }

    // name="value", with commas inside of the quotes.
    private static Dictionary<string, string> Fields(string parameter)
    {
        var fields = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        for (var at = 0; at < parameter.Length; )
        {
            var equals = parameter.IndexOf('=', at);
            if (equals < 0)
                break;
            var name = parameter[at..equals].Trim(' ', ',');
            var isQuoted = equals + 1 < parameter.Length && parameter[equals + 1] == '"';
            var begin = equals + (isQuoted ? 2 : 1);
            var end = parameter.IndexOf(isQuoted ? '"' : ',', begin);
            end = end < 0 ? parameter.Length : end;
            fields[name] = parameter[begin..end];
            at = end + 1;
        }

        return fields;
    }

    private AuthenticationHeaderValue? Basic(ImageReference image) =>
        login is { } known && (known.Registry == image.Registry || known.Registry == HostOf(image))
            ? new AuthenticationHeaderValue(
                "Basic",
                Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes($"{known.User}:{known.Password}"))
            )
            : null;

    private string Explain(ImageReference image, HttpStatusCode status) =>
        status switch
        {
            HttpStatusCode.NotFound =>
                $"{HostOf(image)} has no tag {image.Tag ?? "latest"} of {image.Repository}. Is it pushed, and spelled right?",
            HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden => NeedsLogin(image),
            HttpStatusCode.TooManyRequests =>
                $"{HostOf(image)} has had too many questions from here. Wait, or log in: --login {image.Registry}.",
            _ => $"{HostOf(image)} answers {(int)status}. Try again later.",
        };

    private string NeedsLogin(ImageReference image) =>
        $"{HostOf(image)} refuses {image.Repository}: there is none, or it needs a login: --login {image.Registry}, with user and password in ONGGI_REGISTRY_USER and ONGGI_REGISTRY_PASSWORD.";

    private string HostOf(ImageReference image) =>
        mirrors.GetValueOrDefault(image.Registry) ?? (image.Registry == ImageReference.DockerHub ? "registry-1.docker.io" : image.Registry);

    private static string Base(string host) => $"{(IsLoopback(host.Split(':')[0]) ? "http" : "https")}://{host}";

    // As the container tools have it: what is on this machine may speak plainly.
    private static bool IsLoopback(string host) =>
        host == "localhost" || (IPAddress.TryParse(host, out var address) && IPAddress.IsLoopback(address));
}
