// The block in the editor: a preview that the server renders, and its options.
(function (wp) {
  const { createElement: element, Fragment } = wp.element;
  const { InspectorControls, useBlockProps } = wp.blockEditor;
  const { PanelBody, RangeControl, SelectControl, TextControl, Placeholder, Disabled } = wp.components;
  const { __ } = wp.i18n;

  const Empty = () =>
    element(Placeholder, { label: __("Recommended posts", "recommender") },
      __("Nothing to list yet. Readers see nothing here.", "recommender"));

  wp.blocks.registerBlockType("recommender/list", {
    apiVersion: 2,
    title: __("Recommended posts", "recommender"),
    description: __("Related or trending posts, from the recommender.", "recommender"),
    category: "widgets",
    icon: "list-view",
    usesContext: ["postId"],
    attributes: {
      list: { type: "string", enum: ["related", "trending"], default: "related" },
      limit: { type: "integer", minimum: 1, maximum: 50, default: 5 },
      title: { type: "string", default: "" },
    },
    edit({ attributes, setAttributes, context }) {
      const set = (name) => (value) => setAttributes({ [name]: value });
      const options = element(PanelBody, { title: __("List", "recommender") },
        element(SelectControl, {
          label: __("Posts", "recommender"),
          value: attributes.list,
          options: [
            { value: "related", label: __("Related to this post", "recommender") },
            { value: "trending", label: __("Trending", "recommender") },
          ],
          onChange: set("list"),
        }),
        element(RangeControl, {
          label: __("Number", "recommender"), value: attributes.limit, min: 1, max: 50, onChange: set("limit"),
        }),
        element(TextControl, {
          label: __("Heading", "recommender"), value: attributes.title, onChange: set("title"),
        }));
      const preview = element(Disabled, null, element(wp.serverSideRender, {
        block: "recommender/list",
        attributes,
        urlQueryArgs: context.postId ? { post_id: context.postId } : {},
        EmptyResponsePlaceholder: Empty,
      }));
      return element(Fragment, null,
        element(InspectorControls, null, options), element("div", useBlockProps(), preview));
    },
    save: () => null,
  });
})(window.wp);
