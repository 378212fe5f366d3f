SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#page",
  deepLinking: true,
  tryItOutEnabled: true,
  // Else the description would be sent to a server on the Internet.
  validatorUrl: null,
});
