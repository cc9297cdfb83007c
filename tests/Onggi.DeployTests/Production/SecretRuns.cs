using System.Text;
using System.Text.Json;
using Onggi.Cli;
using Onggi.Cli.Deployment.Secrets;

namespace Onggi.DeployTests.Production;

/// <summary>Runs of <c>onggi deploy secrets</c> for production, each with what the one before it has left in the cluster.</summary>
internal static class SecretRuns
{
    public static async Task<(Dictionary<string, KubernetesSecret> Secrets, string Said, string Text)> NewAsync()
    {
        var (code, output, error) = await RunAsync(null, "-e", "production", "--new");
        Assert.True(code == OnggiTool.Ok, error);
        return (SetFolder.Parse(output).ToDictionary(secret => secret.Name), error, output);
    }

    public static async Task<(Dictionary<string, KubernetesSecret> Secrets, string Said)> AgainAsync(
        IEnumerable<KubernetesSecret> before,
        params string[] more
    )
    {
        var (code, output, error) = await RunAsync(Json(before), ["-e", "production", "--existing", "-", .. more]);
        Assert.True(code == OnggiTool.Ok, error);
        return (SetFolder.Parse(output).ToDictionary(secret => secret.Name), error);
    }

    public static async Task<(int Code, string Output, string Error)> RunAsync(string? piped, params string[] args)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        using var input = piped is null ? null : new StringReader(piped);
        var code = await OnggiTool.RunAsync(["deploy", "secrets", "--catalog", SetFolder.Catalog, .. args], output, error, input);
        return (code, output.ToString(), error.ToString());
    }

    // As kubectl writes them.
    public static string Json(IEnumerable<KubernetesSecret> secrets, string kubernetesNamespace = "phonebill")
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream))
        {
            json.WriteStartObject();
            json.WriteString("apiVersion", "v1");
            json.WriteString("kind", "List");
            json.WriteStartArray("items");
            foreach (var secret in secrets)
            {
                json.WriteStartObject();
                json.WriteString("kind", "Secret");
                json.WriteString("type", secret.Type);
                json.WriteStartObject("metadata");
                json.WriteString("name", secret.Name);
                json.WriteString("namespace", kubernetesNamespace);
                json.WriteEndObject();
                json.WriteStartObject("data");
                foreach (var (key, value) in secret.Data)
                    json.WriteBase64String(key, value);
                json.WriteEndObject();
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(stream.ToArray());
    }
}
